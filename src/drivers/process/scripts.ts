import { mkdir, readFile } from 'node:fs/promises';
import { installFile } from '../supervised/install.ts';
import { shim } from '../supervised/shim.ts';
import { stage } from '../supervised/stage.ts';

/**
 * The POSIX shell programs around a box. They are kept as text so that they travel with whatever bundles this module,
 * and are written to files because a shell reads its script as it goes. A file is named after its content, so one that a
 * running shell reads is never changed.
 */
export interface ScriptFiles {
  readonly shim: string;
  readonly stage: string;
  readonly enter: string;
}

/**
 * Pid 1 of a box without bwrap, in fresh mount, pid, ipc, uts and (BL_NETWORK=none) network namespaces, with root's
 * rights over them. Lays the box's file system out, goes into it, gives every right up and becomes the box's init.
 * Environment: BL_ROOT (an empty directory), BL_DISK, BL_GUEST, BL_AGENT, BL_ETC, BL_NODE (empty: under /usr already),
 * BL_ETC_DIRECTORIES and BL_ETC_FILES (of the host, where they exist), BL_HOSTNAME, BL_NETWORK, BL_UID (the user to become; empty: stay), BL_USER_NAMESPACE (1: in one of the box's own).
 * Arguments: the program to run in the box, after \`env -i\`.
 */
const enter = `#!/bin/sh
set -e
umask 022
# Few programs are run on purpose: each costs a millisecond or two of every boot.
bind_directory() { mkdir -p ".$2"; mount -n --rbind -o ro,nosuid,nodev "$1" ".$2"; }
bind_file() { : > ".$2"; mount -n --bind -o ro,nosuid,nodev "$1" ".$2"; }

mount -n -t tmpfs -o mode=0755,nosuid,nodev box "$BL_ROOT"
cd "$BL_ROOT"
mkdir -p etc/ssl proc dev tmp var/tmp run/boxledger/guest home/box opt/node/bin

bind_directory /usr /usr
links=
for path in /bin /sbin /lib /lib32 /lib64 /libx32; do
  if [ -h $path ]; then links="$links $path"
  elif [ -d $path ]; then bind_directory $path $path
  fi
done
[ -z "$links" ] || cp -P $links .
for path in $BL_ETC_DIRECTORIES; do
  if [ -d $path ]; then bind_directory $path $path; fi
done
files=
for path in $BL_ETC_FILES; do
  if [ -f $path ] && [ -r $path ]; then files="$files $path"; fi
done
cp -L $files "$BL_ETC"/* etc/
if [ -d "$BL_NODE" ]; then bind_directory "$BL_NODE" /opt/node
elif [ -n "$BL_NODE" ]; then bind_file "$BL_NODE" /opt/node/bin/node
fi
bind_file "$BL_AGENT" /run/boxledger/agent.cjs

# What is mounted below those directories came along, but is not read-only yet.
while read -r _ _ _ _ point options _; do
  case $options in ro,nosuid,nodev*) continue ;; esac
  case $point in *\\\\*) point=$(printf '%b' "$(printf '%s' "$point" | sed 's/\\\\\\([0-7][0-7][0-7]\\)/\\\\0\\1/g')") ;; esac
  case $point in "$BL_ROOT"/*) mount -n -o remount,bind,ro,nosuid,nodev "$point" ;; esac
done < /proc/self/mountinfo

mount -n --bind -o nosuid,nodev "$BL_DISK" home/box
mount -n --bind -o nosuid,nodev,noexec "$BL_GUEST" run/boxledger/guest
mount -n -t tmpfs -o mode=1777,nosuid,nodev tmp tmp
mount -n -t tmpfs -o mode=1777,nosuid,nodev tmp var/tmp

mount -n -t tmpfs -o mode=0755,nosuid,noexec dev dev
mkdir dev/pts dev/shm
devices='/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty'
# Only the host's own root may make device nodes.
if [ -z "$BL_UID" ] || ! cp -a $devices dev/ 2>/dev/null; then
  for path in $devices; do : > ".$path"; mount -n --bind $path ".$path"; done
fi
mount -n -t devpts -o newinstance,ptmxmode=0666,mode=0620,nosuid,noexec devpts dev/pts
mount -n -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
ln -s pts/ptmx /proc/self/fd dev/
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -n -o remount,bind,ro,nosuid,noexec dev
mount -n -t proc -o nosuid,nodev,noexec proc proc

# Without any of these tools loopback stays down; nothing else is lost.
if [ "$BL_NETWORK" = none ]; then
  { ip link set lo up || ifconfig lo up || busybox ip link set lo up; } 2>/dev/null || :
fi
hostname "$BL_HOSTNAME" 2>/dev/null || echo "$BL_HOSTNAME" > proc/sys/kernel/hostname

mkdir .host
pivot_root . .host
cd /
umount -n -l /.host
rmdir /.host
mount -n -o remount,bind,ro,nosuid,nodev /
cd /home/box

# A root that is only its namespace's must make the map of the next one while it has its rights; it loses them with it,
# since it is no root there.
if [ -z "$BL_UID" ]; then
  exec unshare --user --map-user=1000 --map-group=1000 -- \\
    setpriv --inh-caps -all --ambient-caps -all --no-new-privs --pdeathsig KILL -- "$@"
fi
if [ -n "$BL_USER_NAMESPACE" ]; then set -- unshare --user --map-user=1000 --map-group=1000 -- "$@"; fi
exec setpriv --reuid "$BL_UID" --regid "$BL_UID" --clear-groups --bounding-set -all --inh-caps -all \\
  --ambient-caps -all --no-new-privs --pdeathsig KILL -- "$@"
`;

export interface InstalledFiles extends ScriptFiles {
  readonly agent: string;
}

/**
 * Writes the scripts to `directory`, and the agent, so that boxes can reach it and an upgrade of the package under a
 * running service changes nothing. Only the service's user may write there.
 */
export const installFiles = async (
  directory: string,
  agentPath: string,
  directoryMode: number,
): Promise<InstalledFiles> => {
  await mkdir(directory, { recursive: true, mode: directoryMode });
  const script = (name: string, text: string) => installFile(directory, name, 'sh', Buffer.from(text));
  return {
    shim: await script('shim', shim),
    stage: await script('stage', stage),
    enter: await script('enter', enter),
    agent: await installFile(directory, 'agent', 'cjs', await readFile(agentPath)),
  };
};
