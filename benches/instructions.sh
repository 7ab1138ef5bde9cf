#!/usr/bin/env bash
# Counts the instructions of every scenario and holds them against instructions.txt. See --help.
set -euo pipefail
cd "$(dirname "$0")/.."

LIST=benches/instructions.txt
# A rise by more than this many per cent fails.
TOLERANCE=5

usage() {
    cat <<USAGE
Usage: benches/instructions.sh [--update]

Runs each scenario of benches/instructions.rs under valgrind and compares its instructions with benches/instructions.txt. A rise by
more than $TOLERANCE % fails; a fall is told, so that it can be recorded. With --update, writes what was counted into that file.

Counts do not depend on the machine's load or speed: valgrind counts on a processor that it emulates. They do depend on the compiler
(another version than the file's is not compared) and a little on the C library. Needs valgrind (Debian: apt-get install valgrind).
USAGE
}

UPDATE=
case "${1-}" in
    '') ;;
    --update) UPDATE=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac
command -v valgrind >/dev/null || { echo "valgrind is missing; install it (Debian: apt-get install valgrind)"; exit 1; }

COMPILER=$(rustc --version | cut -d' ' -f2)
KNOWN=$(sed -n 's/^# rustc //p' "$LIST" 2>/dev/null || true)
if [ -z "$UPDATE" ] && [ "$COMPILER" != "$KNOWN" ]; then
    echo "SKIPPED: the counts in $LIST are of rustc $KNOWN, this is $COMPILER"
    exit 0
fi

COUNTS=$(mktemp)
OUT=$(mktemp)
trap 'rm -f "$COUNTS" "$OUT"' EXIT
PROGRAM=$(cargo bench --locked --quiet --no-run --bench instructions --message-format json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\/instructions-[^"]*\)".*/\1/p')
[ -x "$PROGRAM" ] || { echo "the scenarios do not build"; exit 1; }

# count NAME: prints it with the instructions of one run.
count() {
    local total times
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no --toggle-collect='*counted_by_valgrind*' \
        "$PROGRAM" "$1" >"$OUT" 2>&1 || { cat "$OUT"; echo "$1 does not run under valgrind"; return 1; }
    total=$(sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p' "$OUT")
    times=$(sed -n 's/^times //p' "$OUT")
    [ "${total:-0}" -gt 0 ] || { cat "$OUT"; echo "$1: nothing was counted"; return 1; }
    echo "$1 $((total / times))"
}
export -f count
export PROGRAM

for name in $("$PROGRAM"); do
    count "$name" >>"$COUNTS" || { tail -n 20 "$COUNTS"; exit 1; }
done

if [ -n "$UPDATE" ]; then
    {
        echo '# Instructions of each scenario of instructions.rs, by instructions.sh --update. A rise by more than 5 % fails ./check.'
        echo "# rustc $COMPILER"
        cat "$COUNTS"
    } >"$LIST"
    cat "$LIST"
    exit 0
fi

awk -v tolerance="$TOLERANCE" -v list="$LIST" '
    /^#/ { next }
    FILENAME == list { known[$1] = $2; next }
    !($1 in known) { printf "%-32s %12d  new: run benches/instructions.sh --update\n", $1, $2; bad++; next }
    {
        change = ($2 - known[$1]) * 100 / known[$1]
        verdict = ""
        if (change > tolerance) { verdict = "  MORE than the list allows"; bad++ }
        else if (change < -tolerance) verdict = "  less: worth recording with --update"
        printf "%-32s %12d  %+6.1f %%%s\n", $1, $2, change, verdict
        delete known[$1]
    }
    END {
        for (name in known) { printf "%-32s is in the list, but no scenario any more\n", name; bad++ }
        if (bad) { print "If that is meant, record it: benches/instructions.sh --update"; exit 1 }
    }' "$LIST" "$COUNTS"
