# Functions of the supervisors: a command that runs until it ends, until standard input ends (the lifeline: the caller is
# done, or was killed) or until a signal arrives; and the removal of cgroups.
stopped=
trap 'stopped=1' INT HUP TERM
trap '' PIPE
cannot() { echo "boot-setup: $*"; exit 75; }

# Whether a child of this shell still runs. Until `wait` its number is not given to another process.
is_running() {
  read -r stat 2> /dev/null < "/proc/$1/stat" || return 1
  case $stat in *") Z "*) return 1 ;; esac
}

# Starts a command that dies with this shell: also where the shell was killed before the command had asked for that. Its
# number is in $command. The lifeline is file descriptor 3; at its end `clean` is called by a process of its own, for this
# shell may have been killed too.
start() {
  setpriv --pdeathsig KILL sh -c '[ "$PPID" = "$0" ] || exit 1; exec "$@"' $$ "$@" < /dev/null 3<&- &
  command=$!
  (trap '' INT HUP TERM; while read -r _; do :; done; clean) <&3 > /dev/null 2>&1 &
  lifeline=$!
}

# Waits for the end of the command, of the lifeline, or a signal. The status is in $status, 143 for a command that was
# stopped.
finish() {
  while [ -z "$stopped" ] && is_running "$command" && is_running "$lifeline"; do sleep 0.05 || true; done
  status=0
  if is_running "$command"; then status=143; fi
  kill -KILL "$command" "$lifeline" 2> /dev/null || true
  [ $status -ne 0 ] || wait "$command" || status=$?
}

# Where cgroup v2 is mounted already it cannot be mounted over itself, and is private in this mount namespace anyway.
mount_v2() { [ "$(stat -f -c %T "$1")" = cgroup2fs ] || mount -t cgroup2 cgroup2 "$1"; }

# Mounts a hierarchy of v1: its controllers as in /proc/self/cgroup, and a directory.
mount_v1() {
  case $1 in name=*) set -- "none,$1" "$2" ;; esac
  mount -t cgroup -o "$1" cgroup "$2"
}

# Mounts the hierarchy that the run sees: v2, or name=systemd of v1.
mount_hierarchy() {
  if [ "$BOOT_CGROUP" = v2 ]; then
    mount_v2 "$1" || cannot "cgroup2 cannot be mounted"
  else
    mount -t tmpfs -o mode=755,size=1m tmpfs "$1" || cannot "no tmpfs can be mounted"
    mkdir "$1/systemd"
    mount_v1 name=systemd "$1/systemd" || cannot "the cgroup v1 hierarchy name=systemd cannot be mounted"
  fi
}

# Removes what a run leaves.
clean() { :; }

# Ends what is left in the group at $1, and removes it. A group stays busy for a moment after its last process.
remove_group() {
  if [ -e "$1/cgroup.kill" ]; then echo 1 > "$1/cgroup.kill"; fi
  tries=0
  while [ -d "$1" ] && [ $tries -lt 40 ]; do
    processes=$(find "$1" -name cgroup.procs -exec cat {} + 2> /dev/null || true)
    [ -z "$processes" ] || kill -KILL $processes 2> /dev/null || true
    find "$1" -depth -type d -exec rmdir {} + 2> /dev/null || sleep 0.05
    tries=$((tries + 1))
  done
}
