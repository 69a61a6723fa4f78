#!/bin/sh
# Three agents on loopback and a live table of what they think of each other, until Ctrl-C.
# A node that is killed comes back after a while, so that its return can be watched.
#
#   examples/three-nodes.sh [MIDGE]     MIDGE: the program (default: midge, from the path)
set -eu

midge=${1:-midge}
back_after_s=15
dir=$(mktemp -d "${TMPDIR:-/tmp}/midge-nodes.XXXXXX")

clean_up() {
    trap - EXIT INT TERM HUP
    for node in 1 2 3; do
        [ ! -s "$dir/$node.pid" ] || kill -9 "$(cat "$dir/$node.pid")" 2>/dev/null || :
    done
    wait 2>/dev/null || :
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

is_up() { kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }

address() { cat "$dir/$1.addr"; }

# The first start takes a free port from the kernel; a return takes the same one again.
start() {
    node=$1
    shift
    rm -f "$dir/$node.died"
    "$midge" agent --name "node-$node" --bind "$(address "$node" 2>/dev/null || echo 127.0.0.1:0)" \
        --api "$dir/$node.sock" "$@" >"$dir/$node.log" 2>&1 &
    echo $! >"$dir/$node.pid"
    tries=200
    until "$midge" status --json --api "$dir/$node.sock" >"$dir/status" 2>/dev/null; do
        tries=$((tries - 1))
        if [ $tries -eq 0 ] || ! is_up "$node"; then
            echo "node-$node did not start:" >&2
            cat "$dir/$node.log" >&2
            exit 1
        fi
        sleep 0.05
    done
    sed 's/.*"addr": *"\([^"]*\)".*/\1/' "$dir/status" >"$dir/$node.addr"
}

# One line about a node, and its restart when it is time.
tend() {
    if is_up "$1"; then
        echo "node-$1  $(address "$1")  up: kill -9 $(cat "$dir/$1.pid")"
        return
    fi
    [ -s "$dir/$1.died" ] || date +%s >"$dir/$1.died"
    left_s=$(($(cat "$dir/$1.died") + back_after_s - $(date +%s)))
    if [ $left_s -gt 0 ]; then
        echo "node-$1  $(address "$1")  down, back in $left_s s"
    else
        # Through both others, of which one may be down as well.
        start "$1" --join "$(address $(($1 % 3 + 1))),$(address $((($1 + 1) % 3 + 1)))"
        echo "node-$1  $(address "$1")  started again"
    fi
}

# The table of the first node that is up.
table() {
    for node in 1 2 3; do
        if is_up "$node"; then
            echo "What node-$node sees (Ctrl-C ends all; kill a node from elsewhere with what stands beside it):"
            "$midge" members --api "$dir/$node.sock" || echo "no answer"
            return
        fi
    done
    echo "All nodes are down."
}

start 1
start 2 --join "$(address 1)"
start 3 --join "$(address 1)"
while :; do
    table >"$dir/table" 2>&1
    [ ! -t 1 ] || printf '\033[H\033[2J'
    cat "$dir/table"
    echo
    for node in 1 2 3; do tend "$node"; done
    echo
    sleep 0.5
done
