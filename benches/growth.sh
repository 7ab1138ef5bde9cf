#!/usr/bin/env bash
# Measures how the cost of a message grows with members, rooms, connections and payload, and plots it. See --help.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'USAGE'
Usage: benches/growth.sh [--duration SECONDS] [--quick]

Builds the program, sweeps members (2 to 10,000), rooms (to 50,000), connections (to 100,000) and payload (64 B to 1 MB) with
`subrosa-bench --json`, the server on processor 0 and the load on processor 1, and writes docs/growth.json and docs/growth.svg. Filling
rooms of 10,000 takes minutes each, since every member learns of every other.

  --duration SECONDS   seconds that each point measures (default 3)
  --quick              few small points into target/growth, to see whether it works
USAGE
}

DURATION=3
OUT=docs
MEMBERS='2 10 30 100 300 1000 3000 10000'
ROOMS='1 10 100 1000 9500 50000'
IDLE='0 99 999 1880 4999 9999'
PAYLOADS='64 256 1024 4096 16384 65536 262144 1000000'
while [ $# -gt 0 ]; do
    case "$1" in
        --duration) DURATION=$2; shift 2 ;;
        --quick)
            DURATION=0.5 OUT=target/growth MEMBERS='2 10 30' ROOMS='1 10' IDLE='0 9' PAYLOADS='64 65536'
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

cargo build --locked --release --workspace --bins
PROGRAM=${CARGO_TARGET_DIR:-target}/release/subrosa-bench
mkdir -p "$OUT"
POINTS=$OUT/growth.json
: >"$POINTS"

# point CURVE X OPTION…: one line of growth.json.
point() {
    local curve=$1 x=$2 result
    shift 2
    echo "== $curve at $x" >&2
    result=$("$PROGRAM" --server-cpu 0 --generator-cpu 1 --duration "$DURATION" --json "$@") || return 0
    printf '{"curve": "%s", "x": %s, "report": %s}\n' "$curve" "$x" "$result" >>"$POINTS"
}

for n in $MEMBERS; do
    point members-unicast "$n" --shape unicast --members "$n" --senders 1
    # About as much under way in all, however large the room is.
    point members-packet "$n" --shape packet --members "$n" --inflight $((n > 400 ? 1 : 400 / n))
done
for n in $ROOMS; do
    point rooms "$n" --shape rooms --members 2 --rooms "$n" --inflight $((n > 4500 ? 1 : 4500 / n > 64 ? 64 : 4500 / n))
done
for n in $IDLE; do
    # Ten members a room; the same ten rooms are busy, the others only there.
    point connections $((100 + n * 10)) --shape rooms --members 10 --rooms $((10 + n)) --active-rooms 10
done
for n in $PAYLOADS; do
    point payload "$n" --shape unicast --members 10 --senders 1 --payload "$n" --inflight $((n > 65536 ? 4 : 64))
done
python3 benches/growth.py "$POINTS" >"$OUT/growth.svg"
echo "wrote $POINTS and $OUT/growth.svg"
