# Runs a command (qemu) with a lifeline. Run by `sh -uc`, after supervise.sh.
exec 3<&0 < /dev/null 2>&1
start "$@"
finish
exit $status
