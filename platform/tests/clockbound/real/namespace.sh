#!/bin/sh
# Runs a command where the real ClockBound daemon can be run, and no clock can be touched: in a user
# namespace of its own, which the kernel lets set no clock, with a network and a /run of its own.
# There is a chronyd that serves the machine's own time on loopback, and the machine looks like one
# of EC2 with a VMClock.
#
#   unshare -Urnm namespace.sh FOLDER COMMAND ARG...
#
# FOLDER/vmclock0 becomes /dev/vmclock0. CHRONYD names the program.
set -eu
work=$1
shift
here=$(dirname "$(realpath "$0")")

mount --make-rprivate /
mkdir -p "$work/run/clockbound" "$work/run/chrony"
chmod 750 "$work/run/chrony"
ip link set lo up
ip addr add 169.254.169.123/32 dev lo

mkdir -p "$work/virtual" "$work/dev"
mount -t tmpfs tmpfs "$work/virtual"
mkdir -p "$work/virtual/dmi/id"
echo "Amazon EC2" >"$work/virtual/dmi/id/sys_vendor"
echo m7i.large >"$work/virtual/dmi/id/product_name"
mount --rbind "$work/virtual" /sys/devices/virtual
mount -t tmpfs tmpfs "$work/dev"
for name in null zero full random urandom; do
    : >"$work/dev/$name"
    mount --bind "/dev/$name" "$work/dev/$name"
done
: >"$work/dev/vmclock0"
mount --bind "$work/vmclock0" "$work/dev/vmclock0"
mount --rbind "$work/dev" /dev
mount --rbind "$work/run" /run

# -x: it sets no clock, even if it could.
"$CHRONYD" -x -d -u root -f "$here/chronyd.conf" >"$work/chronyd.log" 2>&1 &
chronyd=$!
python3 "$here/ntp48.py" >"$work/ntp48.log" 2>&1 &
relay=$!
trap 'kill $chronyd $relay' EXIT
"$@"
