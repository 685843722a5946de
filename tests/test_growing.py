"""What lets training grow: boards of several sizes, mazes with other ends, a curriculum, and recursion."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from loop import Loop, tiny

from hrm_gym.agents.saved.build import build
from hrm_gym.agents.training.flops import Meter
from hrm_gym.envs.maze.solver import FREE, GOAL, START, WALL
from hrm_gym.envs.maze.task import MazeTask
from hrm_gym.errors import HrmGymError

SIZES = MazeTask(9, 12, smallest=6)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_mazes_of_all_sizes_stand_on_the_board_with_walls_around_them(split):
    puzzles = SIZES.dataset(split)
    assert (SIZES.violations(puzzles.puzzle, puzzles.solution) == 0).all()
    assert np.array_equal(SIZES.solve(puzzles.puzzle[7]), puzzles.solution[7])
    boards = (puzzles.puzzle != WALL).reshape(-1, 9, 9)
    spans = [np.ptp(np.nonzero(board)[axis]) + 1 for board in boards for axis in (0, 1)]
    assert max(spans) == 9 and min(spans) <= 6 and np.mean(spans) < 8
    assert SIZES.rate(puzzles.puzzle).min() >= 5  # 12 * 36 // 81


@pytest.mark.slow
def test_the_splits_of_several_sizes_share_no_maze():
    keys = {split: set(SIZES.keys(SIZES.dataset(split))) for split in ("train", "validation", "test")}
    assert not keys["train"] & keys["test"] and not keys["validation"] & (keys["test"] | keys["train"])


@pytest.mark.rare
def test_mazes_with_paths_of_several_lengths_are_easier_and_as_hard():
    mixed, hard = MazeTask(9, 15, smallest=8, shortest=3), MazeTask(9, 15, smallest=8)
    lengths, long = (task.rate(task.dataset("train").puzzle) for task in (mixed, hard))
    assert long.min() >= 11 and lengths.min() < 5  # at 8x8: 15 * 64 // 81, and 3 * 64 // 81
    # Half of the mazes are 9x9, and a quarter of those has the longest least length; of the others some are as long.
    assert 1 / 8 < (lengths >= 15).mean() < (long >= 15).mean()
    keys = {split: set(mixed.keys(mixed.dataset(split))) for split in ("train", "validation", "test")}
    assert not keys["train"] & keys["test"] and not keys["validation"] & (keys["test"] | keys["train"])


def test_one_length_is_what_it_was():
    assert np.array_equal(MazeTask(8, 10).dataset("test").puzzle, MazeTask(8, 10, shortest=10).dataset("test").puzzle)
    assert MazeTask(10, 20, shortest=20).name == "small" and MazeTask(10, 20, shortest=19).name is None


def test_one_size_is_what_it_was():
    assert np.array_equal(MazeTask(8, 10).dataset("test").puzzle, MazeTask(8, 10, smallest=8).dataset("test").puzzle)
    assert MazeTask(10, 20, smallest=10).name == "small" and MazeTask(10, 20, smallest=8).name is None


@pytest.mark.slow
def test_redrawn_mazes_of_several_sizes_are_in_no_other_split():
    task = MazeTask(6, 9, smallest=4, redrawn=2)
    known = set(task.keys(task.dataset("train")))
    assert not known & {key for split in ("validation", "test") for key in task.keys(task.dataset(split))}


@pytest.mark.slow
def test_redrawn_mazes_keep_the_walls_and_the_length_of_the_way():
    plain, more = MazeTask(8, 10), MazeTask(8, 10, redrawn=2)
    old, new = plain.dataset("train"), more.dataset("train")
    num = len(old.puzzle)
    assert np.array_equal(new.puzzle[:num], old.puzzle) and 2.5 * num < len(new.puzzle) < 3 * num
    assert (more.violations(new.puzzle, new.solution) == 0).all() and more.rate(new.puzzle).min() >= 10
    walls = {row.tobytes() for row in old.puzzle == WALL}
    assert all(row.tobytes() in walls for row in new.puzzle == WALL)
    for token in (START, GOAL):
        assert ((new.puzzle == token).sum(1) == 1).all()
    assert (new.puzzle[num:] != old.puzzle[np.arange(len(new.puzzle) - num) % num]).any(1).mean() > 0.9
    assert set(np.unique(new.puzzle)) == {WALL, FREE, START, GOAL}
    assert not set(more.keys(new)) & set(more.keys(plain.dataset("test")))
    assert np.array_equal(more.dataset("test").puzzle, plain.dataset("test").puzzle)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"smallest": 3}, "smallest=3: choose 4 to size=10"),
        ({"smallest": 11}, "smallest=11"),
        ({"smallest": "8"}, "smallest='8'"),
        ({"shortest": 1}, "shortest=1: choose 2 to min_path=20"),
        ({"shortest": 21}, "shortest=21"),
        ({"redrawn": -1}, "redrawn=-1: give 0 to 100"),
        ({"redrawn": 2.5}, "redrawn=2.5"),
    ],
)
def test_sizes_out_of_range(arguments, message):
    with pytest.raises(HrmGymError, match=message) as refused:
        MazeTask(10, 20, **arguments)
    assert "\n" not in str(refused.value)


def test_ranked_puzzles_come_from_easy_to_hard():
    env = gym.make("MazeSmall-v0", ranked=True, num_examples=200, disable_env_checker=True).unwrapped
    rating = env.task.rate(env.rules.data.puzzle)
    assert (np.diff(rating) >= 0).all() and rating[0] < rating[-1]
    assert len(rating) == 8 * 200  # with their images
    env.rules.easiest = 0.05
    env.reset(seed=0)
    shown = [env.task.rate(env.reset()[0]["puzzle"][None])[0] for _ in range(100)]
    assert max(shown) <= rating[len(rating) // 20]


def test_a_family_that_rates_its_puzzles_alike_cannot_rank_them():
    with pytest.raises(HrmGymError, match="rated alike: leave it out"):
        gym.make("Sudoku4x4-v0", ranked=True, num_examples=1, augment=False)


def test_training_begins_with_the_easiest_and_ends_with_all():
    config = tiny(
        env="MazeSmall-v0", agent="trm_grid", curriculum=0.5, max_steps=4, max_segments=1, num_envs=16, hidden_size=8
    )
    loop = Loop(config)
    rules = loop.trainer.envs._envs.unwrapped.rules
    seen = []
    for _ in range(4):
        loop.trainer.prepare()
        seen.append(rules.easiest)
        loop.step()
    assert seen == pytest.approx([0.1, 0.55, 1.0, 1.0])


@pytest.mark.parametrize("agent", ["hrm", "trm", "hrm_symbols", "trm_symbols"])
def test_recursion_grows_in_three_stages(agent):
    """One, two and three thirds of 3 x 6 cycles, the averaged policy alike; an agent that is loaded has them all."""
    loop = Loop(tiny(agent=agent, growth=0.5, h_cycles=3, l_cycles=6, max_steps=8, max_segments=1))
    policies = loop.policy, loop.trainer.learner.average.policy
    seen = []
    for _ in range(8):
        loop.trainer.prepare()
        seen.append([policy.agent.cycles for policy in policies])
        loop.step()
    assert seen == [[(1, 2)] * 2] * 2 + [[(2, 4)] * 2] * 2 + [[(3, 6)] * 2] * 4
    with torch.device("meta"):
        assert build(loop.trainer.config, loop.trainer.spec).agent.cycles == (3, 6)


@pytest.mark.parametrize("agent", ["hrm", "trm"])
def test_grown_recursion_computes_what_that_many_cycles_do(agent):
    few, grown = (
        Loop(tiny(agent=agent, max_steps=8, **options))
        for options in ({"h_cycles": 1, "l_cycles": 2}, {"h_cycles": 3, "l_cycles": 6, "growth": 0.5})
    )
    ours, theirs = few.step(), grown.step()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert all(torch.equal(a, b) for a, b in zip(few.policy.parameters(), grown.policy.parameters(), strict=True))


def test_what_grows_with_a_budget_needs_one():
    for options in ({"growth": 0.5}, {"env": "MazeSmall-v0", "curriculum": 0.5}):
        config = tiny(agent="trm", max_steps=0, max_minutes=0.0, **options)
        with pytest.raises(HrmGymError, match="a share of the budget, and this run has none: give --max-minutes"):
            Loop(config)


def steps(loop, num):
    for _ in range(num):
        loop.trainer.prepare()
        loop.step()
    return loop


def test_a_resumed_run_grows_on_bit_for_bit():
    config = tiny(agent="trm", growth=1.0, h_cycles=3, l_cycles=6, max_steps=6)
    whole = steps(Loop(config), 6)
    resumed = Loop(config, steps(Loop(config), 3).snapshot())
    assert resumed.policy.agent.cycles == (2, 4)
    steps(resumed, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True))


def test_the_meter_counts_the_cycles_that_there_are():
    loop = Loop(tiny(agent="trm", growth=1.0, h_cycles=3, l_cycles=6, max_steps=2))
    meter = Meter(loop.trainer)
    first = meter.flops
    steps(loop, 2)
    loop.trainer.prepare()
    meter.figures(1, 1.0)
    assert first < meter.flops == Meter(Loop(tiny(agent="trm", h_cycles=3, l_cycles=6)).trainer).flops
