# Boots a root filesystem and removes all of its processes and files afterwards. Run by `sh -euc` after supervise.sh, as root,
# in a session and a mount namespace of its own, with the name of the step as $1. At the end of the lifeline everything in
# here is killed, and then the cgroups are removed.
#
# All paths come from the environment and are used as whole words; no text of a path is ever run.
#
#   BOOT_ROOTFS     the root filesystem: copied to memory, never written
#   BOOT_FILES      a directory with files that overlay the copy
#   BOOT_TOOL       this program, which changes the root directory
#   BOOT_CGROUP     the hierarchy in the boot: v2, or v1 for a systemd without support of v2
#   BOOT_GROUP      the name of its cgroup
#   BOOT_UIDS       the first of the 65,536 user IDs of its user namespace; empty for a boot without one
#   BOOT_LOADER     the path of the loader in the root filesystem
#   BOOT_NSPAWN     the path of its systemd-nspawn; empty for a boot without it
#   BOOT_INIT       the path of its systemd
#   BOOT_ARGUMENTS  the arguments of its systemd, which have no spaces
#   BOOT_LIBRARIES  the directories of libraries that its systemd-nspawn is started with
#   BOOT_SCRIPT     this text
exec 2>&1
note() { echo "boot-note: $*"; }
root=/run/root
max_memory=2147483648 max_pids=512 max_root=2g

# The group in a v1 hierarchy, which is mounted where nobody else sees it. Arguments: a name for the mount point, the
# controllers. Fails without such a hierarchy.
v1_group() {
  mkdir -p "/run/cgroup/$1" && mount_v1 "$2" "/run/cgroup/$1" 2> /dev/null || return 1
  own=$(sed -n "s/^[0-9]*:$2://p" /proc/self/cgroup)
  parent=/run/cgroup/$1${own%/} group=/run/cgroup/$1${own%/}/$BOOT_GROUP
}

v2_group() {
  mount_v2 /sys/fs/cgroup || return 1
  own=$(sed -n 's/^0:://p' /proc/self/cgroup)
  # Limits exist only below a group that passes its controllers on, as the topmost one does under systemd.
  for parent in /sys/fs/cgroup "/sys/fs/cgroup${own%/}"; do
    case " $(cat "$parent/cgroup.subtree_control" 2> /dev/null) " in *" memory "*) break ;; esac
  done
  group=$parent/$BOOT_GROUP
}

# Calls a function for the group in each hierarchy of this machine: the one that the boot sees, which is needed, and the
# others, where memory and processes may be counted, and where a systemd with this machine's root would make its groups.
each_group() {
  if [ "$BOOT_CGROUP" = v2 ]; then
    v2_group || cannot "cgroup2 cannot be mounted"
  else
    v1_group main name=systemd || cannot "the cgroup v1 hierarchy name=systemd cannot be mounted"
  fi
  "$1" main
  number=0
  cut -d: -f2 /proc/self/cgroup > /run/hierarchies
  while read -r controllers; do
    number=$((number + 1))
    case $BOOT_CGROUP$controllers in
    v2 | v1name=systemd) continue ;;
    v1) v2_group || continue ;;
    *) v1_group $number "$controllers" || continue ;;
    esac
    "$1" other
  done < /run/hierarchies
}

limited=
make_group() {
  mkdir "$group" || { [ $1 != main ] || cannot "$group cannot be made"; return 0; }
  for file in cpuset.cpus cpuset.mems; do
    if [ -e "$group/$file" ]; then cat "$parent/$file" > "$group/$file"; fi
  done
  if limit memory.max $max_memory || limit memory.limit_in_bytes $max_memory; then limited="$limited memory"; fi
  if limit pids.max $max_pids; then limited="$limited pids"; fi
  # The time to remove them has a bound; a boot makes some tens.
  limit cgroup.max.descendants 512 || true
  echo "$group" >> /run/groups
  [ $1 != main ] || printf %s "$group" > /run/main-group
}

limit() { [ -e "$group/$1" ] && echo "$2" > "$group/$1"; }

remove_this_group() { remove_group "$group"; }

clean() {
  [ -e /run/groups ] || return 0
  while read -r group; do remove_group "$group"; done < /run/groups
}

# A copy in memory. Only the names in the copy are touched: a link in it to a path of this machine is replaced.
copy_root() {
  mkdir "$root"
  # A device file of the root filesystem opens no device of this machine.
  mount -t tmpfs -o "mode=755,nodev,size=$max_root" tmpfs "$root" || cannot "no tmpfs can be mounted"
  cp -a /proc/self/fd/7/. "$root/" || cannot "the root filesystem cannot be copied to memory"
  cd "$root"
  for name in etc etc/systemd etc/systemd/system proc sys dev run tmp var xtask-stage1 xtask-proc xtask-sys; do
    if [ -L "$name" ] || [ ! -d "$name" ]; then rm -f -- "$name"; mkdir "$name"; fi
  done
  cp -R --remove-destination /proc/self/fd/8/. . || cannot "files cannot be put into the root filesystem"
  [ -z "$BOOT_UIDS" ] || chown -hR "$BOOT_UIDS:$BOOT_UIDS" .
  cp -- "$BOOT_TOOL" /run/tool
  chmod 755 /run/tool
  cd /
}

# The user namespace of the boot, once it exists: its root is an ID that nothing on this machine has.
map_users() {
  own=$(readlink /proc/self/ns/user) tries=0
  while theirs=$(readlink "/proc/$command/ns/user") && [ "$theirs" = "$own" ]; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || return 0
    sleep 0.01
  done
  for map in uid_map gid_map; do echo "0 $BOOT_UIDS 65536" > "/proc/$command/$map" || true; done
}

case $1 in
outer)
  trap clean EXIT
  exec 3<&0 7< "$BOOT_ROOTFS" 8< "$BOOT_FILES" < /dev/null
  mount -t tmpfs -o mode=755,size=256m tmpfs /run || cannot "no tmpfs can be mounted on /run"
  each_group make_group
  for what in memory pids; do
    case "$limited " in *" $what "*) ;; *) note "no limit on $what: the cgroup controller is not available" ;; esac
  done
  copy_root
  exec 7<&- 8<&-
  start sh -euc "$BOOT_SCRIPT" boot join
  [ -z "$BOOT_UIDS" ] || map_users
  finish
  exit $status
  ;;
clean)
  # What a supervisor left that was killed itself.
  mount -t tmpfs -o mode=755,size=1m tmpfs /run
  each_group remove_this_group
  ;;
join)
  echo $$ > "$(cat /run/main-group)/cgroup.procs"
  while read -r group; do echo $$ > "$group/cgroup.procs" || true; done < /run/groups
  user=
  if [ -n "$BOOT_UIDS" ]; then
    user="--user --keep-caps"
    # chown: the boot makes groups below its own.
    group=$(cat /run/main-group)
    for file in . cgroup.procs cgroup.subtree_control cgroup.threads tasks; do
      if [ -e "$group/$file" ]; then chown "$BOOT_UIDS:$BOOT_UIDS" "$group/$file"; fi
    done
  fi
  # `start` has set that this process dies with the supervisor, and takes the whole process namespace along.
  exec unshare $user --pid --fork --kill-child --mount --propagation private --cgroup --uts --ipc \
    --net sh -euc "$BOOT_SCRIPT" boot inner
  ;;
inner)
  if [ -n "$BOOT_UIDS" ]; then
    tries=0
    until [ -n "$(cat /proc/self/gid_map)" ]; do
      tries=$((tries + 1))
      [ $tries -lt 500 ] || cannot "user IDs cannot be mapped"
      sleep 0.01
    done
    # From here on nothing in the namespace is root outside of it.
    exec setpriv --reuid 0 --regid 0 --clear-groups --pdeathsig KILL sh -euc "$BOOT_SCRIPT" boot terminal
  fi
  exec sh -euc "$BOOT_SCRIPT" boot terminal
  ;;
terminal)
  mount -t proc proc /proc || cannot "proc cannot be mounted"
  # Without a terminal systemd-nspawn passes nothing on. The namespace keeps the root directory of script(1).
  # The pid namespace below keeps script(1), which sees this machine's files, out of reach.
  export TERM=dumb SHELL=/bin/sh
  exec script -qefc 'exec unshare --pid --fork --kill-child --mount --propagation private sh -euc "$BOOT_SCRIPT" boot enter' /dev/null
  ;;
enter)
  # A mount from outside of the user namespace cannot become the root directory.
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc" || cannot "proc cannot be mounted"
  mount -t sysfs -o ro sysfs "$root/sys" || cannot "sysfs cannot be mounted"
  mount_hierarchy "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755,size=64m tmpfs "$root/run"
  mkdir -p "$root/run/systemd/system"
  mount -t tmpfs -o size=64m tmpfs "$root/tmp"
  mount -t tmpfs -o mode=755,size=1m tmpfs "$root/dev"
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" || cannot "devpts cannot be mounted"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
  done
  : > "$root/dev/console"
  mount --bind "$(tty)" "$root/dev/console"
  if [ -n "$BOOT_NSPAWN" ]; then
    mount --bind "$root" "$root/xtask-stage1"
    # In a user namespace systemd-nspawn can mount these only if they are mounted somewhere (mount_namespaces(7)).
    mount -t proc proc "$root/xtask-stage1/xtask-proc"
    mount -t sysfs -o ro sysfs "$root/xtask-stage1/xtask-sys"
    set -- "/$BOOT_LOADER" --library-path "$BOOT_LIBRARIES" "/$BOOT_NSPAWN" --register=no --keep-unit --boot \
      --directory=/xtask-stage1 --machine=xtask-smoketest -- $BOOT_ARGUMENTS
  else
    set -- "/$BOOT_INIT" $BOOT_ARGUMENTS
  fi
  exec env -i PATH=/usr/sbin:/usr/bin TERM=dumb container=xtask /run/tool __sandbox enter "$root" "$@"
  ;;
esac
