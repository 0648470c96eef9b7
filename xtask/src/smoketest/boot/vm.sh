# Runs a command (qemu) with a lifeline: at the end of standard input it is killed. Run by `sh -uc`.
exec 3<&0 < /dev/null 2>&1
stopped=
trap 'stopped=1' INT HUP TERM

# Whether a child of this shell still runs. Until `wait` its number is not given to another process.
is_running() {
  read -r stat 2> /dev/null < "/proc/$1/stat" || return 1
  case $stat in *") Z "*) return 1 ;; esac
}

setpriv --pdeathsig KILL "$@" 3<&- &
command=$!
(trap '' INT HUP TERM; while read -r _; do :; done) <&3 > /dev/null 2>&1 &
lifeline=$!
while [ -z "$stopped" ] && is_running "$command" && is_running "$lifeline"; do sleep 0.05; done
status=0
if is_running "$command"; then status=143; fi
kill -KILL "$command" "$lifeline" 2> /dev/null
[ $status -ne 0 ] || wait "$command" || status=$?
exit $status
