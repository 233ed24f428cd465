#!/usr/bin/env bash
# Runs in the guest as root: guest.sh RESULTS SECONDS. RESULTS is the one folder that the guest shares with the
# host for writing; the command to run is the script RESULTS/command. Leaves there:
#   setup     what preparing the guest had to say
#   release   uname -r
#   output    stdout and stderr of the command
#   status    its exit status, written last: without this file the command did not end
set -u
results=$1
seconds=$2
repository=$PWD

prepare() (
    set -ex
    # virtme-ng's root keeps nothing in the page cache, so that every start of a program reads it again through 9p,
    # and lays an overlay over half of the tree. The same folder once more, cached, becomes the root instead.
    mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /mnt
    mount --make-rprivate /
    mount --move /proc /mnt/proc
    mount --move /sys /mnt/sys
    mount --move /dev /mnt/dev
    mount -t tmpfs tmpfs /mnt/run
    mount --move "$results" "/mnt$results"
    cd /mnt
    mkdir run/old
    pivot_root . run/old
    cd /
    umount --lazy /run/old
    rmdir /run/old
    modprobe -a ext4 virtio_blk vsock_loopback
    # Room for work on a file system as hosts have it: events that a tmpfs never raises are raised here.
    mkdir /run/disk /run/repository
    mount /dev/vda /run/disk
    mount --rbind "$repository" /run/repository
    mkdir -m 1777 /run/disk/tmp /run/disk/var-tmp
    mkdir /run/disk/home
    mount --bind /run/disk/tmp /tmp
    mount --bind /run/disk/var-tmp /var/tmp
    if [ ! -e "$repository/tests/vm/guest.sh" ]; then # it lies in one of the two folders now hidden
        mkdir -p "$repository"
        mount --rbind /run/repository "$repository"
    fi
    umount --recursive /run/repository
    rmdir /run/repository
    local kind folder
    for kind in tracefs:/sys/kernel/tracing bpf:/sys/fs/bpf securityfs:/sys/kernel/security cgroup2:/sys/fs/cgroup; do
        folder=${kind#*:} kind=${kind%:*}
        findmnt -rn -t "$kind" >/dev/null || mount -t "$kind" "$kind" "$folder"
    done
    ip link set lo up
)

prepare > "$results/setup" 2>&1
[ $? = 0 ] || exit 1
cd "$repository" || exit 1
# Compiled once: the tree is read only, and to compile what is imported is most of what a start costs here.
unset PYTHONDONTWRITEBYTECODE
export HOME=/run/disk/home PYTHONPYCACHEPREFIX=/run/disk/pycache POLYGRAPH_RESULTS=$results
uname -r > "$results/release"
timeout --kill-after=5 "$seconds" bash "$results/command" > "$results/output" 2>&1 < /dev/null
status=$?
sync
echo "$status" > "$results/status"
sync
