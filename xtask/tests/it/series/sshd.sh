# shellcheck shell=bash disable=SC2034
# Logs in to the sshd of a root filesystem with only the listed files, in a private network and mount namespace.
# Prints the program that serves the connection, then what the remote shell prints.
#   sshd.sh ROOT CLIENT_DIRECTORY
set -eu
root=$1 client=$2
mkdir -p "$root/etc/ssh" "$root/root" "$root/run/sshd" "$root/dev" "$root/var/empty" "$root/proc"
chmod 755 "$root" "$root/run/sshd" "$root/var/empty"
chmod 700 "$root/root"
printf 'root:x:0:0:root:/root:/usr/bin/bash\nsshd:x:74:74::/run/sshd:/usr/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\nsshd:x:74:\n' > "$root/etc/group"
echo 'root:*:1::::::' > "$root/etc/shadow"
for node in null zero urandom; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mount -t proc proc "$root/proc"
ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/host"
ssh-keygen -q -t ed25519 -N '' -f "$client/id"
cp "$client/id.pub" "$root/root/keys"
chmod 600 "$root/root/keys"
printf '%s\n' 'ListenAddress 127.0.0.1' 'HostKey /etc/ssh/host' 'AuthorizedKeysFile /root/keys' 'StrictModes no' \
  'PermitRootLogin yes' 'UsePAM no' 'PidFile none' > "$root/etc/ssh/sshd_config"
ip link set lo up
chroot "$root" /usr/sbin/sshd -D -e > "$client/sshd.log" 2>&1 &
sshd=$!
trap 'kill $sshd; cat "$client/sshd.log" >&2' EXIT
for attempt in $(seq 50); do
  ssh-keyscan -t ed25519 127.0.0.1 2> /dev/null | grep -q ssh-ed25519 && break
  sleep 0.2
done
mkfifo "$client/in"
# shellcheck disable=SC2016
timeout 60 ssh -T -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes \
  -i "$client/id" root@127.0.0.1 'echo $PPID; read -r line; echo "$line"' < "$client/in" > "$client/out" &
ssh=$!
exec 3> "$client/in"
for attempt in $(seq 100); do
  [ -s "$client/out" ] && break
  sleep 0.2
done
readlink "/proc/$(head -n 1 "$client/out")/exe"
echo finished >&3
wait $ssh
tail -n 1 "$client/out"
