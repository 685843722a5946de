"""A state for every candidate (cell, symbol): the same under every symmetry, on boards of every size."""

import dataclasses

import numpy as np
import pytest
import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.candidates import build_graph, candidates
from hrm_gym.agents.presets import resolve
from hrm_gym.agents.training.build import build
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

SMALL = {"device": "cpu", "dtype": "float32", "hidden_size": 16, "message_size": 8, "mlp_size": 16}


def policy(env, agent="trm_symbols", seed=0):
    torch.manual_seed(seed)
    options = {"env": env, "agent": agent, "preset": "groups", **SMALL}
    made = build(resolve(options), TaskSpec.of(make_task(env)))
    torch.nn.init.normal_(made.halting.head.weight)  # at zero, the values would say nothing
    return made


def puzzles(env, num):
    return make_task(env).dataset("test").map(lambda array: torch.as_tensor(array[:num]).long())


def thought(made, puzzle, segments=1):
    state = made.initial_state(len(puzzle))
    with torch.no_grad():
        for _ in range(segments):
            state, output, signals = made(state, {"puzzle": puzzle})
    return output.logits, signals["q_halt"]


def transposed(array, size):
    return array.unflatten(1, (size, size)).transpose(1, 2).flatten(1, 2)


@pytest.mark.parametrize("agent", ["trm_symbols", "hrm_symbols"])
@pytest.mark.parametrize("env", ["Sudoku6x6-v0", "SudokuExtreme-v0"])
def test_the_answer_turns_with_the_puzzle(env, agent):
    """Relabelled digits, permuted rows and columns within and of bands, transposition: the whole group of the board."""
    made, task, given = policy(env, agent), make_task(env), puzzles(env, 12)
    uniforms = torch.rand((12, task.num_uniforms), generator=torch.Generator().manual_seed(1))
    image = task.augment(given, uniforms)
    assert not torch.equal(image.puzzle, given.puzzle)
    (logits, belief), (turned, same) = thought(made, given.puzzle), thought(made, image.puzzle)
    assert torch.allclose(belief, same, atol=1e-3) and belief.std() > 0.1
    assert torch.equal(task.restore(turned.argmax(-1), uniforms), logits.argmax(-1))


@pytest.mark.parametrize(("env", "size"), [("Sudoku4x4-v0", 4), ("SudokuExtreme-v0", 9)])
def test_transposition_and_relabelling_one_by_one(env, size):
    made, given = policy(env), puzzles(env, 8).puzzle
    logits, belief = thought(made, given)
    turned, same = thought(made, transposed(given, size))
    assert torch.allclose(transposed(turned, size), logits, atol=1e-3) and torch.allclose(same, belief, atol=1e-3)
    label = torch.cat((torch.zeros(1, dtype=torch.long), torch.randperm(size) + 1))
    relabelled, same = thought(made, label[given])
    assert torch.allclose(relabelled[..., label], logits, atol=1e-3) and torch.allclose(same, belief, atol=1e-3)


def test_the_givens_are_answered_as_they_are_and_struck_symbols_never():
    made, given = policy("SudokuExtreme-v0"), puzzles("SudokuExtreme-v0", 8).puzzle
    answer = thought(made, given)[0].argmax(-1)
    assert torch.equal(answer[given > 0], given[given > 0]) and (answer > 0).all()
    for puzzle, row in zip(given.view(-1, 9, 9), answer.view(-1, 9, 9), strict=True):
        for i in range(9):
            for j in range(9):
                if not puzzle[i, j]:
                    box = puzzle[i // 3 * 3 : i // 3 * 3 + 3, j // 3 * 3 : j // 3 * 3 + 3]
                    assert row[i, j] not in torch.cat((puzzle[i], puzzle[:, j], box.flatten()))


def test_candidates_and_groups_are_those_counted_by_hand():
    task = make_task("Sudoku4x4-v0")
    puzzle = torch.from_numpy(task.parse("12...........3..").astype(np.int64))[None]
    given = puzzle.unsqueeze(-1) == torch.arange(1, 5)
    partitions = [torch.as_tensor(groups) for groups in task.groups]
    left = candidates(given, puzzle == 0, partitions)
    assert left[0, 2].tolist() == [False, False, True, True]  # row 1 has 1 and 2
    assert left[0, 5].tolist() == [False, False, False, True]  # box 1 has 1 and 2, column 2 has 2 and 3
    graph = build_graph(left, partitions)
    num = int(left.sum())
    assert len(graph.node) == num and torch.equal(graph.node, left.flatten().nonzero()[:, 0])
    # Every node is in one group of each partition, and two nodes share one where cell or symbol and unit agree.
    x = torch.eye(num)
    member, offsets, group, group_offsets = graph.incidence
    pooled = torch.nn.functional.embedding_bag(member, x, offsets, mode="sum", include_last_offset=True)
    shared = torch.nn.functional.embedding_bag(group, pooled, group_offsets, mode="sum", include_last_offset=True)
    cell, symbol = graph.node // 4, graph.node % 4
    row, column = cell // 4, cell % 4
    box = row // 2 * 2 + column // 2
    same = symbol[:, None] == symbol
    expected = sum((same & (unit[:, None] == unit)).float() for unit in (row, column, box))
    expected = expected + (cell[:, None] == cell).float()
    assert torch.equal(shared, expected)


def test_the_same_weights_think_about_boards_of_another_size():
    trained = policy("SudokuExtreme-v0")
    for env in ("Sudoku4x4-v0", "Sudoku6x6-v0"):
        other = policy(env, seed=1)
        other.load_state_dict(trained.state_dict())
        assert type(other.agent).fits(trained.agent.spec, other.agent.spec)
        logits, _ = thought(other, puzzles(env, 4).puzzle)
        assert torch.isfinite(logits).all()


def test_gradients_reach_every_weight_and_solved_boards_are_no_trouble():
    made = policy("Sudoku4x4-v0")
    solved = make_task("Sudoku4x4-v0").dataset("test").map(lambda array: torch.as_tensor(array[:3]).long())
    mixed = torch.stack((solved.puzzle[0], solved.solution[1], solved.puzzle[2]))  # one board has no blank cell
    _, output, signals = made(made.initial_state(3), {"puzzle": mixed})
    (output.logits.square().sum() + signals["q_halt"].sum()).backward()
    assert torch.isfinite(output.features).all()
    assert [name for name, p in made.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []
    _, output, _ = made(made.initial_state(2), {"puzzle": solved.solution[:2]})  # and none has a candidate
    assert torch.equal(output.logits.argmax(-1), solved.solution[:2])


@pytest.mark.parametrize("agent", ["trm_symbols", "hrm_symbols"])
def test_families_without_groups_are_refused_in_one_line(agent):
    config = resolve({"env": "Sudoku4x4-v0", "agent": agent, **SMALL})
    for env, message in (("MazeSmall-v0", "names no groups"), ("Futoshiki4x4-v0", "knows no rules but the groups")):
        with pytest.raises(HrmGymError, match=message) as error:
            build(dataclasses.replace(config, env=env), TaskSpec.of(make_task(env)))
        assert "\n" not in str(error.value)
