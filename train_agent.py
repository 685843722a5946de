"""Train an agent that decides when to halt.

    python train_agent.py                                          Sudoku6x6-v0 on any machine: five minutes
    python train_agent.py --env Sudoku4x4-v0                       one minute
    python train_agent.py --env SudokuExtreme-v0                   the preset for your device
    python train_agent.py --env SudokuExtreme-v0 --preset paper --device cuda      HRM, 27 M parameters
    python train_agent.py --resume runs/Sudoku6x6-v0-hrm-seed0     continue a stopped run
    python train_agent.py --help                                   the options; --help-all shows every one

Ctrl-C saves the run and exits. The run's folder holds the checkpoint, TensorBoard events and the result.
"""

import sys

from hrm_gym_command import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
