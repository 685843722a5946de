# Sourced by the other scripts: where things are, what is trained, and how small all of it is in a rehearsal (REHEARSE=1).
set -euo pipefail
export CAMPAIGN_ROOT=${CAMPAIGN_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
export CAMPAIGN=${CAMPAIGN:-${TMPDIR:-/tmp}/campaign} # on the local disk, where it stays between commands
export OUT=${OUT:-$CAMPAIGN/out}                      # what is written here comes back from the machine
mkdir -p "$CAMPAIGN" "$OUT"
CAMPAIGN=$(realpath "$CAMPAIGN") OUT=$(realpath "$OUT")
PYTHON=${PYTHON:-python3}
PACK=${PACK:-$CAMPAIGN_ROOT/.campaign}
CODE=$CAMPAIGN/code LOGS=$CAMPAIGN/logs RUNS=$CAMPAIGN/runs
mkdir -p "$LOGS" "$RUNS"

# Trainings run from a copy: the checkout is replaced by every command that is sent.
if [ ! -d "$CODE" ]; then
    mkdir "$CODE"
    tar -C "$CAMPAIGN_ROOT" --exclude=./.git --exclude=./.campaign --exclude=./runs --exclude=./.venv -cf - . | tar -C "$CODE" -xf -
fi
if compgen -G "$PACK/wheels/*.whl" > /dev/null && [ ! -d "$CAMPAIGN/site" ]; then
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$CAMPAIGN/site" "$PACK"/wheels/*.whl
fi
if [ -d "$PACK/puzzles" ] && [ ! -d "$CAMPAIGN/puzzles" ]; then cp -r "$PACK/puzzles" "$CAMPAIGN/puzzles"; fi
cd "$CODE"
export PYTHONPATH=$CODE:$CAMPAIGN/site PYTHONUNBUFFERED=1
export TORCHINDUCTOR_CACHE_DIR=$CAMPAIGN/inductor # what the profile has compiled, training need not

SUDOKU=(--env SudokuExtreme-v0 --preset gpu_groups)
MAZE=(--env MazeHard-v0 --preset gpu_grid --task-args redrawn=4 --curriculum 0.3)
export DEVICE=${DEVICE:-cuda}
TOTAL_MINUTES=${TOTAL_MINUTES:-26.5} # from the first script to the last weights; to start the machine takes the rest
SUDOKU_MINUTES=${SUDOKU_MINUTES:-18}
TRY_MINUTES=${TRY_MINUTES:-0.25}     # of each training in the first script; 0: none
TEST_LIMIT=100 PROFILE_LIMIT=200 TRY_LIMIT=150 # seconds after which a step of the first script is given up
TESTS=(-n 8 --maxfail 5 tests/test_gpu.py tests/test_device_env.py tests/test_no_waiting.py tests/test_symbols.py tests/test_grid.py tests/test_recipes.py)
PROFILE=(--presets gpu_groups gpu_grid --steps 20)
LIMIT=1000 SEGMENTS=16 DEEP=64 ATTEMPTS=16 # of the evaluation on real puzzles
TINY=()
if [ "${REHEARSE:-0}" = 1 ]; then
    export REHEARSE
    DEVICE=cpu TEST_LIMIT=600 PROFILE_LIMIT=600 TRY_LIMIT=600
    TINY=(--hidden-size 8 --mlp-size 8 --layers 1 --h-cycles 1 --l-cycles 1 --num-envs 2 --max-segments 2 --no-compile
        --max-steps 3 --eval-steps 2 --eval-puzzles 2 --test-puzzles 2)
    MAZE=(--env MazeSmall-v0 --preset gpu_grid --task-args redrawn=1 --curriculum 0.3) # its weights run on 30x30, too
    TESTS=(tests/test_campaign.py)
    PROFILE=(--presets gpu_groups --forms plain --steps 1 --threads 1
        --set env=Sudoku4x4-v0 num_envs=2 hidden_size=8 mlp_size=8 message_size=8 h_cycles=1 l_cycles=1)
    LIMIT=2 SEGMENTS=2 DEEP=2 ATTEMPTS=2
fi
