# Boots a root filesystem, or runs a command, so that nothing of it is left behind. Run by `sh -euc` as root, in a
# mount namespace of its own, with the step's name as $1. Standard input is the life line: at its end (the caller is
# done, or was killed) everything in here is killed, and then the cgroup removed.
#
#   BOOT_ROOTFS  the root filesystem; never written, an overlay takes what the boot writes
#   BOOT_WORK    an empty directory, mount point for a tmpfs
#   BOOT_FILES   a directory whose content is laid over the root filesystem
#   BOOT_CGROUP  v2, or v1 for what cannot do v2
#   BOOT_LOADER  the loader's path in the root filesystem
#   BOOT_NSPAWN  the path of its systemd-nspawn; empty boots without it
#   BOOT_INIT    the path of its systemd
#   BOOT_UNIT    the unit to start
#   BOOT_SCRIPT  this text
#   BOOT_RUN     a command line to run instead of a boot
exec 2>&1
cannot() { echo "boot-setup: $*"; exit 75; }
root=$BOOT_WORK/root

# A group below the one we are in; a private view of the hierarchy, the host's mounts stay as they are.
join_cgroup() {
  if [ "$BOOT_CGROUP" = v2 ]; then
    # Where it is there already it cannot be mounted over itself, and is private in this mount namespace anyway.
    [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup ||
      cannot "cgroup2 cannot be mounted"
    own=$(sed -n 's/^0:://p' /proc/self/cgroup) hierarchy=/sys/fs/cgroup
  else
    own=$(sed -n 's/^[0-9]*:name=systemd://p' /proc/self/cgroup) hierarchy=/sys/fs/cgroup/systemd
    mount -t tmpfs tmpfs /sys/fs/cgroup || cannot "no tmpfs can be mounted"
    mkdir "$hierarchy"
    mount -t cgroup -o none,name=systemd cgroup "$hierarchy" || cannot "the cgroup v1 hierarchy name=systemd cannot be mounted"
  fi
  group=$hierarchy${own%/}/xtask-smoketest-$$
  mkdir "$group" || cannot "$group cannot be made"
}

drop_cgroup() {
  if [ -e "$group/cgroup.kill" ]; then echo 1 > "$group/cgroup.kill"; fi
  tries=0
  while [ -d "$group" ] && [ $tries -lt 100 ]; do
    find "$group" -depth -type d -exec rmdir {} \; 2> /dev/null || true
    tries=$((tries + 1))
    [ ! -d "$group" ] || sleep 0.05
  done
}

lay_root() {
  mount -t tmpfs -o mode=755 tmpfs "$BOOT_WORK" || cannot "no tmpfs can be mounted"
  mkdir "$BOOT_WORK/upper" "$BOOT_WORK/work" "$root"
  mount -t overlay overlay -o "lowerdir=$BOOT_ROOTFS,upperdir=$BOOT_WORK/upper,workdir=$BOOT_WORK/work" "$root" 2> /dev/null ||
    cp -a "$BOOT_ROOTFS/." "$root/"
  cp -R "$BOOT_FILES/." "$root/"
  for name in proc sys dev run tmp var etc; do [ -d "$root/$name" ] || mkdir "$root/$name"; done
}

case $1 in
outer)
  trap '' INT HUP TERM PIPE
  mount -t tmpfs -o mode=755 tmpfs /run || cannot "no tmpfs can be mounted on /run"
  mkdir -p /run/systemd/system
  join_cgroup
  [ -n "${BOOT_RUN:-}" ] || lay_root
  exec 3<&0
  BOOT_GROUP=$group sh -euc "$BOOT_SCRIPT" boot join < /dev/null 3<&- &
  boot=$!
  # A builtin waits, so that no other process is left when the boot ends first.
  { while read -r _; do :; done; kill -KILL $boot; } <&3 > /dev/null 2>&1 &
  line=$!
  status=0
  wait $boot || status=$?
  kill -KILL $line 2> /dev/null || true
  drop_cgroup
  exit $status
  ;;
join)
  echo $$ > "$BOOT_GROUP/cgroup.procs"
  # Dies with its parent, and takes the whole process namespace along.
  if [ -n "${BOOT_RUN:-}" ]; then
    exec setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount --mount-proc sh -euc "$BOOT_RUN"
  fi
  exec setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount --mount-proc --cgroup --uts --ipc --net \
    sh -euc "$BOOT_SCRIPT" boot inner
  ;;
inner)
  # The hierarchy again, as this cgroup namespace sees it.
  if [ "$BOOT_CGROUP" = v2 ]; then
    umount -l /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  else
    umount -l /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  fi
  # Without a terminal systemd-nspawn passes nothing on.
  export TERM=dumb SHELL=/bin/sh
  if [ -n "$BOOT_NSPAWN" ]; then
    libraries=$root/usr/lib:$root/usr/lib64:$root/usr/lib/systemd:$root/usr/lib64/systemd
    exec script -qefc "exec '$root/$BOOT_LOADER' --library-path '$libraries' '$root/$BOOT_NSPAWN' --register=no \
      --keep-unit --boot --directory='$root' --machine=xtask-smoketest -- systemd.unit='$BOOT_UNIT' \
      systemd.log_target=console systemd.log_color=no systemd.show_status=no" /dev/null
  fi
  exec script -qefc 'exec unshare --pid --fork --kill-child --mount --mount-proc sh -euc "$BOOT_SCRIPT" boot bare' /dev/null
  ;;
bare)
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  if [ "$BOOT_CGROUP" = v2 ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  fi
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
  done
  : > "$root/dev/console"
  mount --bind "$(tty)" "$root/dev/console"
  chroot=$(command -v chroot)
  exec env -i container=xtask TERM=dumb "$chroot" "$root" "/$BOOT_INIT" --unit="$BOOT_UNIT" --log-target=console \
    --show-status=false
  ;;
esac
