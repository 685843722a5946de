#!/usr/bin/env bash
# First, some five minutes: what is installed, the tests of the GPU path, a profile, and a quarter minute of each training.
# A step that fails is told of, and does not stop the others.
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
date +%s > "$CAMPAIGN/began"
: > "$LOGS/steps.txt"

step() { # NAME LIMIT COMMAND...
    local name=$1 limit=$2 began=$SECONDS status=0
    shift 2
    echo "== $name"
    timeout --kill-after=5 "$limit" "$@" > "$LOGS/$name.log" 2>&1 || status=$?
    tail -n 40 "$LOGS/$name.log"
    local result=passed
    if [ $status -eq 124 ]; then result="out of time"; elif [ $status -ne 0 ]; then result="FAILED ($status)"; fi
    printf '%-10s %-12s %4d s\n' "$name" "$result" $((SECONDS - began)) >> "$LOGS/steps.txt"
}

step installed 60 "$PYTHON" benchmarks/campaign/installed.py --device "$DEVICE"
step tests "$TEST_LIMIT" "$PYTHON" -m pytest -q -p no:cacheprovider "${TESTS[@]}"
step profile "$PROFILE_LIMIT" "$PYTHON" benchmarks/training.py --device "$DEVICE" "${PROFILE[@]}" --profile --json "$LOGS/profile.json"
if [ "$TRY_MINUTES" != 0 ]; then
    rm -rf "$CAMPAIGN/try"
    for name in sudoku maze; do
        options=("${SUDOKU[@]}")
        if [ $name = maze ]; then options=("${MAZE[@]}"); fi
        step "try_$name" "$TRY_LIMIT" "$PYTHON" -m hrm_gym train "${options[@]}" --device "$DEVICE" \
            --max-minutes "$TRY_MINUTES" --test-puzzles 64 ${TINY[@]+"${TINY[@]}"} --run-dir "$CAMPAIGN/try/$name"
        "$PYTHON" benchmarks/campaign/report.py runs "$CAMPAIGN/try/$name" || true
    done
fi
tar -C "$CAMPAIGN" -czf "$OUT/logs.tar.gz" logs
echo "== steps"
cat "$LOGS/steps.txt"
