#!/usr/bin/env bash
# Everything from end to end on a processor, at a size that says nothing of accuracy: rehearse.sh [FOLDER OF REAL PUZZLES]
# PYTHON names the interpreter. The table at the end says how long each script took.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
set -euo pipefail
export REHEARSE=1 PYTHON=${PYTHON:-python3}
CAMPAIGN=$(mktemp -d)
export CAMPAIGN PACK=$CAMPAIGN/pack
here=benchmarks/campaign table=$CAMPAIGN/rehearsal.txt
trap 'cat "$CAMPAIGN/logs/steps.txt" "$table"' EXIT

timed() { # NAME COMMAND...
    local name=$1 began=$SECONDS
    shift
    "$@"
    printf '%-10s %4d s\n' "$name" $((SECONDS - began)) >> "$table"
}

version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
timed pack "$PYTHON" $here/pack.py --python "$version" --out "$PACK" ${1:+--puzzles "$1"}
timed first bash $here/first.sh
timed run bash $here/run.sh
timed follow bash $here/follow.sh 900 5
timed join env PYTHONPATH="$CAMPAIGN/code" "$PYTHON" $here/bring_back.py join "$CAMPAIGN/out" --to "$CAMPAIGN/brought"
rm -f "$CAMPAIGN"/brought/*/real_*.json # measured anew, from what was brought back
timed evaluate bash $here/evaluate.sh "$CAMPAIGN/brought"
ls -l "$CAMPAIGN"/brought/*
