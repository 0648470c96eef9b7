# Process 1 in the sandbox: waits until the user IDs are mapped, and runs its arguments. This shell stays the parent, so that
# a change of user, which clears the death signal (prctl(2)), cannot detach the program.
trap 'exit 143' INT HUP TERM
exec 3<&0
echo
read -r _ || exit 125
"$@" <&3 3<&- &
wait $!
