"""Spiking working memory: lists are recalled, long ones worse than short ones (Spaun, Science 2012).

    python -m examples.lineage.spaun_list

The symbols of a list, of ten kinds, are shown one by one, each bound to its place; afterwards every place is asked for.
The same memory solves 4x4 Sudokus by rules that are written by hand. Needs nengo (`pip install "hrm-gym[spaun]"`).
"""

import numpy as np
import torch

import hrm_gym
from hrm_gym.agents import TaskSpec
from hrm_gym.agents.lineage.spaun import Spaun, SpaunConfig

SYMBOLS = 10


@torch.no_grad()
def recall(lengths: tuple[int, ...], dimensions: int = 128, num_lists: int = 64) -> dict[int, list[float]]:
    """The share of right symbols at each place of lists of these lengths.

    Args:
        lengths: how many symbols are shown.
        dimensions: features of the working memory.
        num_lists: random lists of each length.
    """
    spec = TaskSpec(1, max(lengths), SYMBOLS + 1)
    agent = Spaun(SpaunConfig(dimensions=dimensions), spec)
    rng, found = np.random.default_rng(0), {}
    for length in lengths:
        lists = torch.zeros(num_lists, spec.num_cells, dtype=torch.long)
        lists[:, :length] = torch.as_tensor(rng.integers(1, SYMBOLS + 1, (num_lists, length)))
        state, _ = agent(agent.initial_state(num_lists), {"puzzle": lists})
        said = agent.recall(state)[..., 1:].argmax(-1) + 1
        found[length] = (said == lists)[:, :length].float().mean(0).tolist()
    return found


@torch.no_grad()
def sudoku(num_puzzles: int = 64, dimensions: int = 512, segments: int = 16) -> float:
    """The share of 4x4 Sudokus, test puzzles, that the rules solve; nothing is trained."""
    task = hrm_gym.make_task("Sudoku4x4-v0")
    agent = Spaun(SpaunConfig(dimensions=dimensions), TaskSpec.of(task))
    puzzles = task.dataset("test").map(lambda array: array[:num_puzzles])
    puzzle, state = torch.as_tensor(puzzles.puzzle.astype(np.int64)), agent.initial_state(num_puzzles)
    for _ in range(segments):
        state, output = agent(state, {"puzzle": puzzle})
    return float(task.valid(puzzles.puzzle, puzzles.solution, output.logits.argmax(-1).numpy()).mean())


def main() -> None:
    """Half a minute of one core; prints two lines."""
    for length, shares in recall((4, 7, 10, 20, 40)).items():
        ends = f"first {100 * shares[0]:.0f} %, last {100 * shares[-1]:.0f} %"
        print(f"spaun: {100 * sum(shares) / length:.1f} % of the symbols of lists of {length} ({ends})")
    print(f"spaun: {100 * sudoku():.0f} % of 4x4 Sudokus after 16 segments, by rules")


if __name__ == "__main__":
    main()
