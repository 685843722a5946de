"""Watch an agent solve puzzles, segment by segment.

    python play.py                                              the shipped agent, in a window
    python play.py --env Sudoku6x6-v0 --checkpoint runs/mine    an agent of your own
    python play.py --env Sudoku4x4-v0 --puzzle 1...............  a puzzle of your own
    python play.py --headless --record out.gif --episodes 3     without a screen
    python play.py --headless                                   as text

Keys: space pauses, left and right arrow step back and forward, r new puzzle, t enter your own, + and - change the
speed, s reveals the solution, h shows help, q quits.
"""

import sys

from hrm_gym_command import main

if __name__ == "__main__":
    sys.exit(main(["play", *sys.argv[1:]]))
