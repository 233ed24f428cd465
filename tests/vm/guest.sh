#!/usr/bin/env bash
# Runs in the guest as root: guest.sh RESULTS SECONDS. RESULTS is the one folder that the guest shares with the
# host for writing; the command to run is the script RESULTS/command. Leaves there:
#   release   uname -r
#   output    stdout and stderr of the command
#   status    its exit status, written last: without this file the command did not end
set -u
results=$1
seconds=$2
mounted() { findmnt -rn -t "$1" >/dev/null; }
mounted tracefs || mount -t tracefs tracefs /sys/kernel/tracing
mounted bpf || mount -t bpf bpf /sys/fs/bpf
mounted securityfs || mount -t securityfs securityfs /sys/kernel/security
mounted cgroup2 || mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
# The root file system is the host's, read only or an overlay: work happens on a file system of the guest's own.
mkdir -p /run/guest
mount -t tmpfs tmpfs /run/guest
mkdir /run/guest/home
install -d -m 1777 /run/guest/tmp
export HOME=/run/guest/home TMPDIR=/run/guest/tmp PYTHONDONTWRITEBYTECODE=1 POLYGRAPH_RESULTS=$results
uname -r > "$results/release"
timeout --kill-after=5 "$seconds" bash "$results/command" > "$results/output" 2>&1 < /dev/null
status=$?
sync
echo "$status" > "$results/status"
sync
