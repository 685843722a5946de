#!/usr/bin/env bash
# Grade runs on real puzzles and export those that are finished, with cards: evaluate.sh RUNS [PUZZLES]
# On a processor: DEVICE=cpu. What is there already is not measured again.
runs=$(realpath "$1") puzzles=${2:+$(realpath "$2")}
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
puzzles=${puzzles:-$CAMPAIGN/puzzles}

real() { # RUN NAME OPTIONS...: into RUN/real_NAME.json
    local run=$1 name=$2
    shift 2
    if [ ! -s "$run/real_$name.json" ]; then
        "$PYTHON" -m hrm_gym evaluate --checkpoint "$run" --device "$DEVICE" --limit "$LIMIT" --json "$@" > "$run/real_$name.part"
        mv "$run/real_$name.part" "$run/real_$name.json"
    fi
}

for run in "$runs"/*; do
    [ -f "$run/checkpoint.safetensors" ] || continue
    case $(basename "$run") in
        sudoku*)
            if [ -f "$puzzles/sudoku.csv" ]; then
                real "$run" one_pass --puzzles "$puzzles/sudoku.csv" --halting fixed --max-segments "$SEGMENTS"
                real "$run" by_itself --puzzles "$puzzles/sudoku.csv" --halting learned --max-segments "$DEEP"
                real "$run" attempts --puzzles "$puzzles/sudoku.csv" --halting fixed --max-segments "$SEGMENTS" \
                    --rollouts "$ATTEMPTS" --select rules
            fi
            ;;
        maze*)
            if [ -f "$puzzles/maze.csv.gz" ]; then
                real "$run" by_itself --env MazeHard-v0 --puzzles "$puzzles/maze.csv.gz" --halting learned --max-segments "$DEEP"
            fi
            ;;
    esac
    if [ -f "$run/result.json" ]; then
        "$PYTHON" -m hrm_gym export "$run" --out "$run/export.safetensors" --overwrite
    fi
done
"$PYTHON" benchmarks/campaign/report.py runs "$runs"/*
