/*
 * The programs of a machine, from its first process to its guest agent. A box's root is an overlay: below, the image,
 * read-only and the same file for all; above, the box's own disk. A machine comes up without a disk of its own, on a root
 * in memory, and takes the disk when its host configures it, so that one which was kept ready can become any box.
 */

/** Where a machine's own files lie in the image. */
export const guestDirectory = '/usr/lib/boxledger';
export const guestPortName = 'boxledger.guest';

/** Mount points that an image must have. */
export const mountPoints = ['proc', 'sys', 'dev', 'run', 'tmp', '.boxledger/image', '.boxledger/disk'].concat(
  '.boxledger/root',
  '.boxledger/old',
);

/** Modules of Debian's kernel for cloud machines, in the order they have to be loaded. */
export const kernelModules = [
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio_mmio',
  'drivers/block/virtio_blk',
  'drivers/char/virtio_console',
  'fs/overlayfs/overlay',
];

/** First process, in the initramfs. */
export const initramfsInit = `#!/bin/busybox sh
bb() { /bin/busybox "$@"; }
bb mount -t proc proc /proc
bb mount -t sysfs sys /sys
bb mount -t devtmpfs dev /dev
while read -r module; do bb insmod "/modules/$module"; done < /modules/order
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do bb usleep 2000; done
echo 2048 > /sys/block/vda/queue/read_ahead_kb
bb mount -t ext4 -o ro,noatime /dev/vda /image
bb mount -t tmpfs -o mode=0755 upper /upper
bb mkdir /upper/upper /upper/work
bb mount -t overlay -o lowerdir=/image,upperdir=/upper/upper,workdir=/upper/work box /root
for point in proc sys dev; do bb mount --move /$point /root/$point; done
exec /bin/busybox switch_root /root ${guestDirectory}/init
`;

export const guestFiles: Readonly<Record<string, string>> = {
  /** Becomes busybox's init: pid 1 reaps orphans and starts the agent again, and is nothing that could crash. */
  init: `#!/bin/sh
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
bb=${guestDirectory}/busybox
$bb mkdir -p /dev/pts /dev/shm
$bb mount -t devpts -o mode=0620,ptmxmode=0666,nosuid,noexec devpts /dev/pts
$bb mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm
$bb mount -t tmpfs -o mode=0755,nosuid,nodev run /run
$bb mount -t tmpfs -o mode=1777,nosuid,nodev tmp /tmp
$bb ln -sf /proc/self/fd /dev/fd
$bb ip link set lo up
$bb mount -t ext4 -o ro,noatime /dev/vda /.boxledger/image
$bb mkdir -p /run/boxledger
exec $bb init
`,
  /** An agent that was told to end has said so: the machine ends too, its disk written out whole. Any other is started again. */
  'run-agent': `#!/bin/sh
export HOME=/root USER=root LOGNAME=root SHELL=/bin/sh LANG=C.UTF-8 UV_THREADPOOL_SIZE=64
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
bb=${guestDirectory}/busybox
echo -900 > /proc/self/oom_score_adj
cd /
${guestDirectory}/node --jitless ${guestDirectory}/agent.cjs --port ${guestPortName}
if [ -e /run/boxledger/ended ]; then
  $bb sync
  [ ! -d /run/boxledger/disk ] || $bb fsfreeze --freeze /run/boxledger/disk
  $bb reboot -f
fi
$bb sleep 1
`,
};

export const inittab = `::respawn:${guestDirectory}/run-agent
::ctrlaltdel:/sbin/poweroff -f
`;
