#!/bin/sh
# Instructions that one datagram costs, by callgrind: midge beside foca.
#
#   benches/instructions.sh     needs valgrind
set -eu
cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "$0: no valgrind; .ci/setup bench installs it" >&2; exit 1; }
cargo build --release --quiet
run=${CARGO_TARGET_DIR:-$PWD/target}/release/instructions

# count WHO WORK MEMBERS: for one datagram
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        --toggle-collect='instructions::take_in*' "$run" "$@" 2>&1 |
        awk -v what="$*" '
            / rounds$/ { rounds = $1 }
            /Collected/ { count = $NF }
            { said = said $0 "\n" }
            END {
                if (rounds && count) { print int(count / rounds); exit }
                printf "%sno instructions counted: %s\n", said, what >"/dev/stderr"
                exit 1
            }'
}

printf '%-8s %8s %10s %10s %7s\n' work members midge foca ratio
for work in ping news known spread; do
    ratios=
    for members in 10 100 1000; do
        midge=$(count midge $work $members)
        foca=$(count foca $work $members)
        ratio=$(awk -v m="$midge" -v f="$foca" 'BEGIN { printf "%.2f", m / f }')
        printf '%-8s %8d %10d %10d %7s\n' $work $members "$midge" "$foca" "$ratio"
        ratios="${ratios:+$ratios / }$ratio"
    done
    echo "numbers: benches/instructions.sh::count/$work $ratios"
done
# What foca does not do, or not apart from the rest.
for work in transmit digests; do
    for members in 10 100 1000; do
        midge=$(count midge $work $members)
        printf '%-8s %8d %10d\n' $work $members "$midge"
    done
done
