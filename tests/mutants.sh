#!/usr/bin/env bash
# Do the tests notice faults? This makes small changes in the code, one at a time, and runs the tests that can notice.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

usage() {
    cat <<'USAGE'
Usage: tests/mutants.sh [--all | FILE...]

Tries a random tenth of all changes; with --all every change; with files all changes of these files. A change that no
test notices is printed, and the exit code is 1. tests/mutants.md names the changes that change nothing; they are left
out. The unit tests come first; the integration tests then see only what those missed. A tenth takes about an hour on
two cores. Needs cargo-mutants and cargo-nextest.
USAGE
}

# Rooms, protocol, secrets and the strict formats; the relay; and what carries a client's bytes.
FILES=(
    'src/room/**' 'src/protocol/**' 'src/secret/**' 'src/relay/**' src/client/session.rs src/server/output.rs
    src/sealed/encoding.rs src/sealed/padding.rs src/sealed/json.rs
)
OUT="${CARGO_TARGET_DIR:-target}/mutants"
PART=(--shard "$((RANDOM % 10))/10" --sharding round-robin)
case "${1-}" in
    '') ;;
    -h | --help) usage; exit 0 ;;
    --all) PART=() ;;
    -*) usage >&2; exit 2 ;;
    *) FILES=("$@") PART=() ;;
esac

COMMON=(--test-tool nextest --no-shuffle --colors never --cap-lints true --minimum-test-timeout 60 --build-timeout 900)
for file in "${FILES[@]}"; do COMMON+=(--file "$file"); done

# A change as `cargo mutants` names it, as a pattern.
pattern() { sed 's/[][\.*^$+?(){}|/]/\\&/g'; }

# Lines of the form "- `FILE: CHANGE`": the place in the file may move.
while read -r file change; do
    COMMON+=(--exclude-re "^$(pattern <<<"$file"):[0-9]+:[0-9]+: $(pattern <<<"$change")\$")
done < <(sed -n 's/^- `\(src[^:]*\): \(.*\)`$/\1 \2/p' tests/mutants.md)

# run NAME TESTS...: a change that is missed or that makes a test hang ends with a code of its own (2 and 3).
run() {
    local name=$1 code
    shift
    rm -rf "$OUT/$name"
    mkdir -p "$OUT/$name"
    cargo mutants "${COMMON[@]}" "${PART[@]}" --output "$OUT/$name" -- "$@"
    code=$?
    [ "$code" -eq 0 ] || [ "$code" -eq 2 ] || [ "$code" -eq 3 ] || exit "$code"
}

run unit --lib
MISSED="$OUT/unit/mutants.out/missed.txt"
[ -s "$MISSED" ] || exit 0
PART=()
while read -r change; do PART+=(--re "^$(pattern <<<"$change")\$"); done <"$MISSED"
# These tests cannot notice more than the others, and take long.
run integration --test it -E 'not test(/^(architecture|bad_cable|chat|forget|web|whole_program)::/)'
MISSED="$OUT/integration/mutants.out/missed.txt"
[ -s "$MISSED" ] || exit 0
echo "no test notices:"
cat "$MISSED"
exit 1
