#!/usr/bin/env bash
# Measures everything that the table of docs/performance.md shows, in one go. See --help.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'USAGE'
Usage: benches/table.sh [--rounds COUNT] [--duration SECONDS] [--out FOLDER] [--quick]

Builds the program, then measures this server, the floor, nats-server and mosquitto (as far as they are installed) on the shapes s1 to s6,
in turn and several rounds each, the server on processor 0 and the load on processor 1; then fairness. Writes table.json (every run) and
table.md (the table) into FOLDER (default: target/table). A quiet machine with two processors and about half an hour are needed.

  --rounds COUNT       rounds (default 3)
  --duration SECONDS   seconds that each run measures (default 5)
  --quick              small sizes, to see whether it works
USAGE
}

ROUNDS=3
DURATION=5
OUT=target/table
QUICK=()
LARGE=1000
FLOOD=10000
while [ $# -gt 0 ]; do
    case "$1" in
        --rounds) ROUNDS=$2; shift 2 ;;
        --duration) DURATION=$2; shift 2 ;;
        --out) OUT=$2; shift 2 ;;
        --quick) QUICK=(--members 10); ROUNDS=1 DURATION=0.5 LARGE=30 FLOOD=100; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

PEERS=floor
command -v nats-server >/dev/null && PEERS=$PEERS,nats || echo "nats-server is not installed, and left out"
{ command -v mosquitto || [ -x /usr/sbin/mosquitto ]; } >/dev/null && PEERS=$PEERS,mosquitto || echo "mosquitto is not installed, and left out"

cargo build --locked --release --workspace --bins
PROGRAM=${CARGO_TARGET_DIR:-target}/release/subrosa-bench
mkdir -p "$OUT"
: >"$OUT/table.json"

# measure NAME OPTION…: one line of table.json.
measure() {
    local name=$1
    shift
    echo "== $name" >&2
    "$PROGRAM" --server-cpu 0 --generator-cpu 1 --duration "$DURATION" --rounds "$ROUNDS" --json "$@" >"$OUT/one.json" || return 0
    { printf '{"name": "%s", "result": ' "$name"; cat "$OUT/one.json"; echo '}'; } | tr -d '\n' >>"$OUT/table.json"
    echo >>"$OUT/table.json"
}

measure s1 --preset s1 "${QUICK[@]}" --compare "$PEERS"
measure s2 --preset s2 "${QUICK[@]}" --compare "$PEERS"
measure s2-one --preset s2 "${QUICK[@]}" --inflight 1 --compare "$PEERS"
measure s2-packet --shape packet --key-bytes 0 "${QUICK[@]}"
measure s3 --preset s3 --members "$LARGE" --compare "$PEERS"
measure s3-packet --shape packet --members "$LARGE" --payload 1024 --inflight 2 --key-bytes 0
measure s4 --preset s4 ${QUICK[0]:+--rooms 20} --compare "$PEERS"
measure s5 --preset s5 "${QUICK[@]}" --compare "$PEERS"
measure s6 --preset s6 ${QUICK[0]:+--rooms 20} --compare "$PEERS"
measure fairness --shape fairness "${QUICK[@]}"
measure flood-fanout --shape flood-fanout --members "$FLOOD"
rm -f "$OUT/one.json"
python3 benches/table.py "$OUT/table.json" >"$OUT/table.md"
cat "$OUT/table.md"
