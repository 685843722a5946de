#!/usr/bin/env bash
# Start the trainings in a session of their own, one after the other, each followed by its evaluation on real puzzles
# where these were packed. Returns at once; follow.sh tells how far they are.
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
[ -f "$CAMPAIGN/began" ] || date +%s > "$CAMPAIGN/began"
if [ "${1:-}" != inside ]; then
    rm -f "$CAMPAIGN/done"
    setsid nohup bash "$CODE/benchmarks/campaign/run.sh" inside > "$LOGS/run.log" 2>&1 < /dev/null &
    echo "started; then: bash benchmarks/campaign/follow.sh"
    exit 0
fi
trap 'touch "$CAMPAIGN/done"' EXIT

awks() { awk "BEGIN { $1 }"; }
left() { # minutes until all must be done, but for the last one, which evaluations take
    awks "printf \"%.2f\", $TOTAL_MINUTES - 1 - ($(date +%s) - $(cat "$CAMPAIGN/began")) / 60"
}
least() { awks "print ($1 < $2 ? $1 : $2)"; }

trained() { # NAME MINUTES OPTIONS...; fails where the training does
    local name=$1 minutes=$2
    shift 2
    if awks "exit !($minutes < 1)"; then
        echo "== $name: no time left"
        return 0
    fi
    echo "== $name: $minutes minutes, $*"
    "$PYTHON" -m hrm_gym train "$@" --device "$DEVICE" --max-minutes "$minutes" --run-dir "$RUNS/$name"
}

one() { # NAME PRESET MINUTES OPTIONS...: in the fastest form, and as it is where that fails
    local name=$1 preset=$2 minutes=$3 form
    shift 3
    form=$("$PYTHON" benchmarks/campaign/report.py form "$LOGS/profile.json" "$preset" || true)
    # shellcheck disable=SC2086
    trained "$name" "$minutes" "$@" $form ${TINY[@]+"${TINY[@]}"} ||
        trained "$name-plain" "$(least "$minutes" "$(left)")" "$@" ${TINY[@]+"${TINY[@]}"} --no-compile --no-cuda-graphs ||
        echo "== $name: failed"
    bash "$CODE/benchmarks/campaign/evaluate.sh" "$RUNS" || echo "== $name: not evaluated"
}

one sudoku gpu_groups "$(least "$SUDOKU_MINUTES" "$(left)")" "${SUDOKU[@]}"
one maze gpu_grid "$(left)" "${MAZE[@]}"
