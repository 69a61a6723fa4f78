#!/bin/sh
# Instructions that one datagram costs, by callgrind: midge beside foca.
#
#   benches/instructions.sh     needs valgrind
set -eu
cd "$(dirname "$0")"
cargo build --release --quiet
run=${CARGO_TARGET_DIR:-$PWD/target}/release/instructions
rounds=100

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        --toggle-collect='instructions::take_in*' "$run" "$@" $rounds 2>&1 |
        awk -v rounds=$rounds '/Collected/ { print int($NF / rounds) }'
}

printf '%-6s %8s %10s %10s %7s\n' work members midge foca ratio
for work in ping news known spread; do
    ratios=
    for members in 10 100 1000; do
        midge=$(count midge $work $members)
        foca=$(count foca $work $members)
        ratio=$(awk -v m="$midge" -v f="$foca" 'BEGIN { printf "%.2f", m / f }')
        printf '%-6s %8d %10d %10d %7s\n' $work $members "$midge" "$foca" "$ratio"
        ratios="${ratios:+$ratios / }$ratio"
    done
    echo "numbers: benches/instructions.sh::count/$work $ratios"
done
