# Runs the sandbox in all of its namespaces but that of processes. Arguments: the text of init.sh, then the command that it
# runs. A signal ends this shell, and with it process 1 of the sandbox; unshare(1) with --fork would ignore SIGINT and
# SIGTERM.
trap 'trap - TERM; kill -TERM $$' INT HUP TERM
init=$1
shift
exec 3<&0
setpriv --pdeathsig KILL sh -c "$init" sandbox "$@" <&3 3<&- &
exec <&- 3<&-
wait $!
