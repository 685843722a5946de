#!/usr/bin/env bash
# Wait, tell how far the trainings are, and bring the newest weights back: follow.sh [SECONDS] [EVERY]
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
until=$((SECONDS + ${1:-540}))
while [ $SECONDS -lt $until ] && [ ! -e "$CAMPAIGN/done" ]; do
    sleep "${2:-30}"
    tail -n 2 "$LOGS/run.log"
    if command -v nvidia-smi > /dev/null; then
        nvidia-smi --query-gpu=utilization.gpu,memory.used,power.draw --format=csv,noheader || true
    fi
done
"$PYTHON" benchmarks/campaign/report.py runs "$RUNS"/*
"$PYTHON" benchmarks/campaign/bring_back.py pack "$RUNS" "$LOGS" --out "$OUT"
if [ -e "$CAMPAIGN/done" ]; then echo "all done"; else echo "not done yet"; fi
