#!/bin/sh
# Instructions that one datagram costs, by callgrind: midge beside foca.
#
#   benches/instructions.sh     needs valgrind
set -eu
cd "$(dirname "$0")"
cargo build --release --quiet
run=${CARGO_TARGET_DIR:-$PWD/target}/release/instructions

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$run" "$@" 2>&1 |
        sed -n 's/.*Collected : *//p'
}

few=50 many=250
printf '%-6s %8s %10s %10s %7s\n' work members midge foca ratio
for work in ping news known; do
    ratios=
    for members in 10 100 1000; do
        for who in midge foca; do
            taken=$(($(count $who $work $members $many) - $(count $who $work $members $few)))
            making=$(($(count $who $work $members $many x) - $(count $who $work $members $few x)))
            eval "$who=$(((taken - making) / (many - few)))"
        done
        ratio=$(awk -v m="$midge" -v f="$foca" 'BEGIN { printf "%.2f", m / f }')
        printf '%-6s %8d %10d %10d %7s\n' $work $members "$midge" "$foca" "$ratio"
        ratios="${ratios:+$ratios / }$ratio"
    done
    echo "numbers: benches/instructions.sh::count/$work $ratios"
done
