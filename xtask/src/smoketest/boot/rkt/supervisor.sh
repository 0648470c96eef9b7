# Runs a command as rkt needs it, and leaves nothing of it behind. Run by `sh -euc` after supervise.sh, as root, in a mount
# namespace of its own, with the name of the step as $1 and the command after it. At the end of the lifeline every process
# of the run is killed, and then its cgroups are removed.
#
#   BOOT_CGROUP  v2, or v1: the hierarchy that the run sees
#   BOOT_GROUP   the name of its cgroup; it ends in .service, for rkt looks for such a name
#   BOOT_SCRIPT  this text
exec 2>&1

# rkt takes the machine for one with systemd where /run/systemd/system is, and then passes --keep-unit to
# systemd-nspawn. No bus of the machine may be found: the pod would be registered there.
hide_run() {
  resolv=$(readlink -f /etc/resolv.conf || true)
  names=$(cat /etc/resolv.conf 2> /dev/null || true)
  mount -t tmpfs -o mode=755 tmpfs /run || cannot "no tmpfs can be mounted on /run"
  mkdir -p /run/systemd/system /run/hierarchy
  case $resolv in
  /run/*)
    mkdir -p "${resolv%/*}"
    printf '%s\n' "$names" > "$resolv"
    ;;
  esac
}

# One hierarchy at /sys/fs/cgroup: in a hybrid of both, systemd's library reads the wrong one.
make_group() {
  mount_hierarchy /sys/fs/cgroup
  hierarchy=/sys/fs/cgroup
  [ "$BOOT_CGROUP" = v2 ] || hierarchy=/sys/fs/cgroup/systemd
  RKT_PROCS=$hierarchy/$BOOT_GROUP/cgroup.procs
  export RKT_PROCS
  mkdir "$hierarchy/$BOOT_GROUP" || cannot "$hierarchy/$BOOT_GROUP cannot be made"
}

# The group in every hierarchy of the machine: rkt mounts all v1 controllers itself, also those that the machine has not
# mounted, and systemd-nspawn makes a group in v2 as well.
clean() {
  cut -d: -f2 /proc/self/cgroup | while read -r controllers; do
    # One that nobody has mounted may be gone by now, and then nothing is left in it.
    case $controllers in
    '') mount -t cgroup2 cgroup2 /run/hierarchy ;;
    *) mount_v1 "$controllers" /run/hierarchy ;;
    esac 2> /dev/null || continue
    remove_group "/run/hierarchy/$BOOT_GROUP"
    umount /run/hierarchy
  done
}

step=$1
shift
case $step in
outer)
  hide_run
  make_group
  exec 3<&0
  # Dies with this shell, and takes the whole process namespace along.
  start unshare --pid --fork --kill-child --mount-proc sh -euc "$BOOT_SCRIPT" rkt inner "$@"
  finish
  clean
  exit $status
  ;;
inner)
  # This shell, process 1 of the namespace, stays outside of the group; rkt is a session leader inside of it.
  status=0
  setsid --wait sh -euc 'echo $$ > "$RKT_PROCS"; exec "$@"' rkt "$@" || status=$?
  exit $status
  ;;
clean)
  # What a supervisor left that was killed itself.
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir /run/hierarchy
  clean
  ;;
esac
