"""What is compiled for NumPy batches against the array form that tensors take, and the memory that is used again."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils import seeding
from hypothesis import given, settings
from hypothesis import strategies as st

import hrm_gym
from hrm_gym.envs import compiled
from hrm_gym.envs.compiled import Buffers
from hrm_gym.envs.rng import NumpyRNG

every_id = pytest.mark.parametrize("env_id", hrm_gym.task_ids())
SEED = st.integers(0, 2**32)
NUM = 40


def boards(task, rng):
    """Puzzles with solutions, answers that are right, nearly right and wrong, and the same after a few changes."""
    data = task.dataset("train")
    index = rng.integers(len(data.puzzle), size=NUM)
    puzzle, solution = data.puzzle[index], data.solution[index]
    start = np.where(rng.random((NUM, 1)) < 0.5, solution, puzzle)
    before, after = start.copy(), start.copy()
    for board, changes in ((before, rng.integers(4, size=NUM)), (after, rng.integers(4, size=NUM))):
        for row, most in enumerate(changes):
            cells = rng.integers(task.num_cells, size=most)
            board[row, cells] = rng.integers(task.num_tokens, size=most)
    one = rng.random(NUM) < 0.4  # as an edit leaves them
    cells = rng.integers(task.num_cells, size=NUM)
    after[one] = before[one]
    after[one, cells[one]] = rng.integers(task.num_tokens, size=one.sum())
    wild = rng.random(NUM) < 0.1
    after[wild] = rng.integers(task.num_tokens, size=(wild.sum(), task.num_cells))
    return tuple(board.astype(np.uint8) for board in (puzzle, solution, before, after))


def of_tensors(task, puzzle, answer):
    return task.violations(torch.from_numpy(puzzle).long(), torch.from_numpy(answer).long()).numpy()


@every_id
@settings(max_examples=15, deadline=None)
@given(seed=SEED)
def test_rules_are_counted_as_the_array_form_counts_them(env_id, seed):
    task, rng = hrm_gym.make_task(env_id), np.random.default_rng(seed)
    puzzle, solution, before, after = boards(task, rng)
    wanted, known = of_tensors(task, puzzle, after), of_tensors(task, puzzle, before)
    known[rng.random(NUM) < 0.2] = -1
    counts = (
        task.count(puzzle, solution, after),
        task.violations(puzzle.astype(np.int64), after.astype(np.int64)),
        task.recount(puzzle, solution, after, before, known.copy()),
        task.recount(puzzle, solution, after, after, wanted.copy()),
    )
    for count in counts:
        assert count.dtype == np.int64 and (count == wanted).all()
    for one, other in zip(
        task.match(solution, after),
        task.match(*(torch.from_numpy(board).long() for board in (solution, after))),
        strict=True,
    ):
        assert np.allclose(one, other.numpy(), rtol=1e-6) and one.dtype in (bool, np.float64)


def test_every_edit_of_a_board_is_counted_from_what_it_changes():
    task = hrm_gym.make_task("Sudoku6x6-v0")
    puzzle, solution = (board[:1] for board in task.dataset("train")[:2])
    before = np.where(np.arange(36) % 3 == 0, solution, puzzle).astype(np.uint8)
    cell, token = (grid.ravel() for grid in np.mgrid[:36, :7])
    after = np.repeat(before, len(cell), 0)
    after[np.arange(len(cell)), cell] = token
    many = [np.repeat(board, len(cell), 0) for board in (puzzle, solution, before)]
    known = np.repeat(of_tensors(task, puzzle, before), len(cell))
    counts = task.recount(many[0], many[1], after, many[2], known)
    assert (counts == of_tensors(task, many[0], after)).all() and len(set(counts)) > 5


@settings(max_examples=40, deadline=None)
@given(seed=SEED, num=st.integers(0, 60), mask=st.lists(st.booleans(), min_size=5, max_size=5))
def test_slots_draw_the_numbers_of_numpys_generators(seed, num, mask):
    slots, generators = NumpyRNG(5), [seeding.np_random(seed + i)[0] for i in range(5)]
    slots.seed(seed, np.ones(5, bool))
    for _ in range(2):
        drawn, numbers = slots.draw(np.array(mask), num)
        assert drawn.tolist() == np.flatnonzero(mask).tolist()
        assert (numbers == np.array([generators[i].random(num) for i in drawn]).reshape(len(drawn), num)).all()
    assert slots.state_dict() == [generator.bit_generator.state for generator in generators]
    other = NumpyRNG(5)
    other.load_state_dict(slots.state_dict())
    everywhere = np.ones(5, bool)
    assert (other.draw(everywhere, 7)[1] == slots.draw(everywhere, 7)[1]).all()


@pytest.mark.parametrize("action", [-1, 5, 2**63 - 1, -(2**63), 2**62])
@pytest.mark.parametrize("place", [0, 2])
def test_an_action_out_of_range_is_found_wherever_it_is(action, place):
    actions, most = np.full((4, 3), 2, np.int64), np.array([4, 4, 4])
    assert compiled.in_range(actions, most)
    actions[3, place] = action
    assert not compiled.in_range(actions, most)


# ---- memory --------------------------------------------------------------------------------------


def test_memory_is_used_again_only_when_nobody_holds_it():
    buffers, shape = Buffers(), (1 << 8, 1 << 7)
    one = buffers.empty(shape)
    place = one.ctypes.data
    view = one[3:, ::2]
    assert buffers.empty(shape).ctypes.data != place
    del one
    assert all(buffers.empty(shape).ctypes.data != place for _ in range(3))  # the view still shows it
    tensor = torch.from_numpy(view.base)
    del view
    assert all(buffers.empty(shape).ctypes.data != place for _ in range(3))
    del tensor
    held = [buffers.empty(shape) for _ in range(3)]
    assert place in [array.ctypes.data for array in held]
    held[0].setflags(write=False)
    del held
    assert all(buffers.empty(shape).flags.writeable for _ in range(4))
    assert len({buffers.empty((5, 4)).ctypes.data, buffers.empty(shape, np.float32).ctypes.data}) == 2
    for twin in (copy.deepcopy(buffers), pickle.loads(pickle.dumps(buffers))):
        assert twin._kept == {}


@pytest.mark.parametrize("obs_type", ["dict", "flat"])
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_observations_that_are_kept_do_not_change(obs_type, mode):
    envs = gym.make_vec("Sudoku9x9-v0", 256, obs_type=obs_type, autoreset_mode=mode, max_segments=3)
    envs.action_space.seed(0)
    kept = [envs.reset(seed=0)]
    copies = [copy.deepcopy(kept[0])]
    for _ in range(12):
        obs, *_, infos = envs.step(envs.action_space.sample())
        kept.append((obs, infos))
        copies.append(copy.deepcopy((obs, infos)))
        for part in (obs, infos["solution"]) if obs_type == "flat" else (*obs.values(), infos["solution"]):
            assert part.flags.writeable and part.flags.owndata
    for (obs, infos), (old_obs, old_infos) in zip(kept, copies, strict=True):
        parts = [(obs, old_obs)] if obs_type == "flat" else [(obs[key], old_obs[key]) for key in obs]
        parts += [(infos[key], old_infos[key]) for key in ("solution", "violations", "is_success", "cell_accuracy")]
        if "final_info" in infos:
            parts.append((infos["final_info"]["solution"], old_infos["final_info"]["solution"]))
        assert all((one == other).all() for one, other in parts)


def test_what_a_caller_writes_into_an_observation_stays_with_the_caller():
    one, two = (gym.make_vec("Sudoku9x9-v0", 256, action_type="edit", max_segments=4) for _ in range(2))
    one.reset(seed=0), two.reset(seed=0)
    one.action_space.seed(0)
    for _ in range(8):
        action = one.action_space.sample()
        (seen, *_, info), (clean, *_, infos) = one.step(action), two.step(action)
        assert all((seen[key] == clean[key]).all() for key in seen)
        assert all((info[key] == infos[key]).all() for key in infos)
        for array in (*seen.values(), info["solution"], info["violations"]):
            array[:] = 3
        del seen, info, array
