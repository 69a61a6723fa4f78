#!/bin/sh
# How long one datagram takes, by criterion's medians: midge beside foca.
#
#   benches/times.sh [CRITERION-OPTION...]
set -eu
cd "$(dirname "$0")"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
# No figure of an earlier run passes for one of this.
rm -rf "$CARGO_TARGET_DIR/criterion"
cargo bench --quiet --bench membership -- --noplot "$@"

# median WORK WHO MEMBERS: in nanoseconds
median() {
    sed -n 's/.*"median":{"confidence_interval":{[^}]*},"point_estimate":\([0-9.]*\).*/\1/p' \
        "$CARGO_TARGET_DIR/criterion/$1/$2/$3/new/estimates.json" | grep . ||
        { echo "$0: no median of $*" >&2; exit 1; }
}

printf '%-8s %8s %10s %10s %7s\n' work members 'midge, ns' 'foca, ns' ratio
for work in ping news known spread; do
    ratios=
    for members in 10 100 1000; do
        midge=$(median $work midge $members)
        foca=$(median $work foca $members)
        ratio=$(awk -v m="$midge" -v f="$foca" 'BEGIN { printf "%.2f", m / f }')
        printf '%-8s %8d %10.0f %10.0f %7s\n' $work $members "$midge" "$foca" "$ratio"
        ratios="${ratios:+$ratios / }$ratio"
    done
    echo "numbers: benches/times.sh::median/$work $ratios"
done
# What foca does not do, or not apart from the rest.
for work in transmit digests; do
    for members in 10 100 1000; do
        midge=$(median $work midge $members)
        printf '%-8s %8d %10.0f\n' $work $members "$midge"
    done
done
