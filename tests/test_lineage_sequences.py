"""neural_gpu, rrn, ntm and dnc: their parts against what the papers say, and their signature results, small."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import hrm_gym
from examples.lineage.longer import accuracy, build
from examples.lineage.neural_gpu_addition import Columns, addition, in_a_row
from examples.lineage.ntm_copy import copying
from examples.lineage.rrn_sudoku import sudoku, with_givens
from hrm_gym import HrmGymError
from hrm_gym.agents import TaskSpec
from hrm_gym.agents.lineage.dnc import follow, least_used
from hrm_gym.agents.lineage.messages import kinds_of_groups, received, traced
from hrm_gym.agents.lineage.neural_gpu import NeuralGPU, NeuralGPUConfig
from hrm_gym.agents.lineage.ntm import NTM, TuringMemory
from hrm_gym.agents.lineage.rrn import RRN, RRNConfig
from hrm_gym.agents.lineage.rrn_nodes import EXCLUDED, GIVEN, OPEN
from hrm_gym.agents.lineage.scan import ScanConfig as NTMConfig
from hrm_gym.agents.models.symbols import IMPOSSIBLE
from hrm_gym.agents.saved.build import build as build_policy
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.envs.sequences.task import AdditionTask, CopyTask

SUDOKU = hrm_gym.make_task("Sudoku4x4-v0")
NAMES = ("neural_gpu", "rrn", "ntm", "dnc")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# ---- what they share -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_slots_think_apart_and_the_state_matters(name):
    agent = build(name, SUDOKU).eval()
    puzzle = torch.as_tensor(SUDOKU.dataset("train").puzzle[:3].astype(np.int64))
    with torch.no_grad():
        state, first = agent(agent.initial_state(3), {"puzzle": puzzle})
        _, second = agent(state, {"puzzle": puzzle})
        _, alone = agent(agent.initial_state(1), {"puzzle": puzzle[1:2]})
    assert torch.allclose(first.logits[1:2], alone.logits, atol=1e-5)
    assert not torch.allclose(first.logits, second.logits, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_weights_run_on_a_longer_board(name):
    short, long = CopyTask(1, 4), CopyTask(5, 9)
    agent = build(name, short)
    assert type(agent).fits(TaskSpec.of(short), TaskSpec.of(long))
    assert not type(agent).fits(TaskSpec.of(short), TaskSpec.of(AdditionTask()))
    assert 0 <= accuracy(agent, long, num=4)[1] <= 1


# ---- neural_gpu ----------------------------------------------------------------------------------------------


def test_a_neural_gpu_reads_the_puzzle_once():
    agent = build("neural_gpu", SUDOKU).eval()
    puzzle = torch.as_tensor(SUDOKU.dataset("train").puzzle[:2].astype(np.int64))
    with torch.no_grad():
        state, _ = agent(agent.initial_state(2), {"puzzle": puzzle})
        one, other = (agent(state, {"puzzle": p})[1].logits for p in (puzzle, puzzle.flip(0)))
    assert torch.equal(one, other)


def test_hard_gates_carry_features_along_the_board():
    config = NeuralGPUConfig(width=5, steps=1, gates="hard", shifts=True)
    agent = NeuralGPU(config, TaskSpec.of(SUDOKU))
    image = torch.rand(1, 5, 4, 4)
    with torch.no_grad():
        agent.gating.weight.zero_()
        agent.gating.bias.fill_(2.0)  # the gate is shut: nothing new comes in
        moved, excess = agent._unit(image)
    assert torch.equal(moved[:, 0], image[:, 0]) and torch.equal(moved[:, 1, :, 1:], image[:, 1, :, :-1])
    assert torch.equal(moved[:, 2, :, :-1], image[:, 2, :, 1:]) and torch.equal(moved[:, 3, 1:], image[:, 3, :-1])
    assert torch.equal(moved[:, 4, :-1], image[:, 4, 1:]) and (moved[:, 4, -1] == 0).all()
    assert excess >= 1.1 - 1e-6


@pytest.mark.rare
def test_a_neural_gpu_adds_longer_numbers_than_it_was_trained_on():
    options = {"steps": 1200, "width": 32, "dropout": 0.0}
    shares = addition(in_a_row, trained=range(1, 5), tested=(4, 5), **options)
    assert shares[4][0] > 0.8 and shares[5][0] > 0.2  # a guess is right once in 64 times


@pytest.mark.rare
def test_a_neural_gpu_adds_numbers_twice_as_long_if_they_stand_one_above_the_other():
    shares = addition(trained=range(2, 11), tested=(20,), steps=400, num=200, dropout=0.1)
    assert shares[20][0] > 0.6


def test_sums_in_columns_are_right():
    task = Columns(7)
    puzzle, solution, _ = task.sample(50, np.random.default_rng(0))
    texts = [task.format(board).replace(".", "0") for board in solution]
    rows = [(text[:8], text[8:16], text[16:]) for text in texts]
    assert all(int(first, 2) + int(second, 2) == int(total, 2) for first, second, total in rows), rows[0]
    assert ((puzzle == solution) | (puzzle == task.blank)).all() and not task.violations(puzzle, solution).any()


# ---- rrn -----------------------------------------------------------------------------------------------------


def test_the_groups_of_a_sudoku_are_rows_columns_and_boxes_and_those_of_a_maze_its_links():
    rows, columns, boxes = kinds_of_groups(TaskSpec.of(SUDOKU))
    cells = np.arange(16).reshape(4, 4)
    assert (rows == cells).all() and (columns == cells.T).all() and boxes[1].tolist() == [2, 3, 6, 7]
    maze = hrm_gym.make_task("MazeSmall-v0", size=6, min_path=8)
    (links,) = kinds_of_groups(TaskSpec.of(maze))
    assert (links == maze.links).all() and links.shape[1] == 2


@pytest.mark.parametrize("env", ["Sudoku4x4-v0", "MazeSmall-v0"])
def test_messages_are_an_mlp_on_pairs_summed_at_the_receiver(env):
    agent = RRN(RRNConfig(width=6), TaskSpec.of(hrm_gym.make_task(env)))
    hidden = torch.randn(2, agent.spec.num_cells, 6)
    expected = agent.received.bias + torch.zeros_like(hidden)
    pair = torch.cat((agent.from_sender.weight, agent.from_receiver.weight), dim=1)
    for weight, groups in zip(agent.received.weight.split(6, dim=1), kinds_of_groups(agent.spec), strict=True):
        for a, b in (pair for cells in groups.tolist() for pair in itertools.permutations(cells, 2)):
            inner = F.relu(F.linear(torch.cat((hidden[:, a], hidden[:, b]), dim=1), pair, agent.from_sender.bias))
            expected[:, b] += F.linear(inner, weight)
    assert torch.allclose(agent._messages(hidden), expected, atol=1e-4)


def test_messages_in_one_loop_and_in_tensor_operations_are_the_same_with_their_gradients():
    spec = TaskSpec.of(hrm_gym.make_task("Sudoku6x6-v0"))
    kinds = [torch.as_tensor(groups) for groups in kinds_of_groups(spec)]
    sent, asked = (torch.randn(3, 36, 5, requires_grad=True) for _ in range(2))
    found = [call(sent, asked, kinds) for call in (received, traced)]
    assert torch.allclose(*found, atol=1e-5) and found[0].shape == (3, 36, 15)
    gradient = torch.randn(3, 36, 15)
    first, second = (torch.autograd.grad(out, (sent, asked), gradient) for out in found)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(first, second, strict=True))


def test_rrn_says_what_it_needs():
    spec = dataclasses.replace(TaskSpec.of(SUDOKU), groups=(), links=None)
    with pytest.raises(HrmGymError, match="neither groups nor links") as error:
        build_policy(resolve({"env": "Sudoku4x4-v0", "agent": "rrn", "device": "cpu"}), spec)
    assert "\n" not in str(error.value)


def test_candidates_are_joined_with_their_symbol_in_the_groups_and_with_the_others_of_their_cell():
    agent = RRN(RRNConfig(width=6, nodes="candidates"), TaskSpec.of(SUDOKU))
    rows, _, boxes, cells = agent.nodes.groups
    assert rows[1].tolist() == [1, 5, 9, 13]  # the 2 in the first row
    assert boxes[4].tolist() == [8, 12, 24, 28]  # the 1 in the second box
    assert cells[3].tolist() == [12, 13, 14, 15]  # the fourth cell
    puzzle = torch.zeros(1, 16, dtype=torch.long)
    puzzle[0, 0] = 2
    expected = agent.nodes.reader.weight[[EXCLUDED, GIVEN, EXCLUDED, EXCLUDED, *[OPEN] * 60]]
    assert torch.equal(agent.nodes({"puzzle": puzzle})[0], expected)


def test_candidates_do_not_know_which_symbol_is_which():
    agent = RRN(RRNConfig(width=6, nodes="candidates"), TaskSpec.of(SUDOKU)).eval()
    puzzle = torch.as_tensor(SUDOKU.dataset("test").puzzle[:5]).long()
    renamed = torch.tensor([0, 3, 1, 4, 2])
    logits, other = (agent(agent.initial_state(5), {"puzzle": board})[1].logits for board in (puzzle, renamed[puzzle]))
    assert torch.allclose(other[..., renamed], logits, atol=1e-5) and (logits[..., 0] == IMPOSSIBLE).all()


def test_rrn_fits_boards_of_other_sizes_but_none_without_a_graph():
    trained = TaskSpec.of(hrm_gym.make_task("MazeSmall-v0"))
    larger = TaskSpec.of(hrm_gym.make_task("MazeSmall-v0", size=12, min_path=8))
    assert RRN.fits(trained, larger) and not RRN.fits(trained, dataclasses.replace(larger, links=None))


def test_candidates_need_groups():
    spec = TaskSpec.of(hrm_gym.make_task("MazeSmall-v0"))
    with pytest.raises(HrmGymError, match="needs a puzzle whose groups") as error:
        build_policy(resolve({"env": "MazeSmall-v0", "agent": "rrn", "nodes": "candidates", "device": "cpu"}), spec)
    assert "\n" not in str(error.value)


def test_puzzles_with_more_givens_keep_theirs_and_their_solution():
    task = hrm_gym.make_task("Sudoku9x9-v0")
    test = task.dataset("test").map(lambda array: array[:50])
    more = with_givens(task, test, 25)
    kept = (test.puzzle > 0).sum(1) <= 25
    assert 0 < kept.sum() < 50 and ((more.puzzle > 0).sum(1) == 25).all()
    assert (more.solution == test.solution[kept]).all()
    assert ((more.puzzle == test.puzzle[kept]) | (test.puzzle[kept] == 0)).all()
    assert ((more.puzzle == more.solution) | (more.puzzle == 0)).all()


@pytest.mark.rare
@pytest.mark.parametrize("nodes", [{"nodes": "cells"}, {"nodes": "candidates", "width": 32}], ids=str)
def test_rrn_solves_sudokus_and_more_of_them_with_more_messages(nodes):
    few = {"num_envs": 32, "test_puzzles": 200, "eval_puzzles": 16, "eval_steps": 1000, "max_minutes": 0.0}
    after = sudoku("Sudoku4x4-v0", max_steps=300, **few, **nodes)["accuracy_after_segments"]
    assert after[7] > 0.6 and after[7] > after[0] + 0.2


# ---- ntm and dnc ---------------------------------------------------------------------------------------------


def test_heads_of_an_ntm_move_by_one_and_find_words():
    memory = TuringMemory(NTMConfig(slots=5, word=2))
    words = torch.tensor([[[1.0, 0], [0, 1], [-1, 0], [0, -1], [1, 1]]])
    places = torch.eye(5)[:1].repeat(2, 1)[None]  # both heads at the first place
    wishes = torch.zeros(1, 2, memory.per_head)
    wishes[..., 3] = -30.0  # the heads stay where they were, and from there
    wishes[:, 0, -1] = wishes[:, 1, -3] = 30.0  # the one that writes steps to the right, the other to the left
    moved = memory._move(words, places, wishes)
    for head, (place, share) in enumerate(((1, 0.9), (4, 0.9))):
        assert moved[0, head].argmax() == place and moved[0, head, place] > share
    wishes[:, 1, :2], wishes[:, 1, 2], wishes[:, 1, 3] = torch.tensor([-1.0, 0.0]), 40.0, 30.0  # by content
    wishes[:, 1, -3:] = torch.tensor([-30.0, 30.0, -30.0])
    assert memory._move(words, places, wishes)[0, 1, 2] > 0.99


def test_the_least_used_place_is_given_out_first():
    weights = least_used(torch.tensor([[0.9, 0.0, 0.5, 1.0]]))[0]
    assert weights[1] > 0.999 and weights.sum() <= 1 + 1e-6
    expected = torch.tensor([0.1 * 0.2 * 0.5, 0.8, 0.2 * 0.5, 0.0])
    assert torch.allclose(least_used(torch.tensor([[0.9, 0.2, 0.5, 1.0]]))[0], expected, atol=1e-4)


def test_links_remember_the_order_of_writing():
    link, precedence = torch.zeros(1, 4, 4), torch.zeros(1, 4)
    for place in (2, 0, 3):
        written = F.one_hot(torch.tensor([place]), 4).float()
        link = follow(link, precedence, written)
        precedence = (1 - written.sum(-1, keepdim=True)) * precedence + written
    here = F.one_hot(torch.tensor([[0]]), 4).float()
    assert (here @ link.transpose(1, 2)).argmax() == 3 and (here @ link).argmax() == 2
    assert link.sum() == 2 and (link.diagonal(dim1=1, dim2=2) == 0).all()


@pytest.mark.rare
@pytest.mark.parametrize("agent", ["ntm", "dnc"])
def test_sequences_are_copied_that_are_longer_than_those_trained_on(agent):
    shares = copying(agent, trained=4, tested=(4, 6), steps=500)
    assert shares[4][0] > 0.9 and shares[6][0] > 0.5


def test_an_ntm_that_answers_while_it_reads_knows_nothing_of_what_comes():
    spec = TaskSpec.of(CopyTask(4, 4))
    puzzle = torch.tensor([[4, 5, 6, 7, 2, 0, 0, 0, 0], [4, 5, 6, 8, 2, 0, 0, 0, 0]])
    for read_first in (False, True):
        agent = NTM(NTMConfig(read_first=read_first), spec).eval()
        with torch.no_grad():
            logits = agent(agent.initial_state(2), {"puzzle": puzzle})[1].logits
        assert torch.allclose(logits[0, :3], logits[1, :3], atol=1e-6) != read_first
