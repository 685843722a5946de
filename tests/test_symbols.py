"""A state for every candidate (cell, symbol): the same under every symmetry, on boards of every size."""

import dataclasses

import numpy as np
import pytest
import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.candidates import build_graph, candidates
from hrm_gym.agents.models.padded import pad_graph
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.state import detach
from hrm_gym.agents.training.run import train
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

SMALL = {"device": "cpu", "dtype": "float32", "hidden_size": 16, "message_size": 8, "mlp_size": 16}


def policy(env, agent="trm_symbols", seed=0, spec=None, **more):
    torch.manual_seed(seed)
    options = {"env": env, "agent": agent, "preset": "groups", **SMALL, **more}
    made = build(resolve(options), spec or TaskSpec.of(make_task(env)))
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
    assert torch.equal(shared[:num], expected) and not shared[num:].any()  # the rest fills the list up


def test_the_same_weights_think_about_boards_of_another_size():
    trained = policy("SudokuExtreme-v0")
    for env in ("Sudoku4x4-v0", "Sudoku6x6-v0", "Sudoku16x16-v0"):
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
    for env, message in (("MazeSmall-v0", "names no groups"), ("Futoshiki4x4-v0", "knows only rules that are groups")):
        with pytest.raises(HrmGymError, match=message) as error:
            build(dataclasses.replace(config, env=env), TaskSpec.of(make_task(env)))
        assert "\n" not in str(error.value)


# ---- graphs of a fixed size ------------------------------------------------------------------------------


def learned(made, puzzle, segments=2):
    """States, output, signals and gradients after some segments."""
    state = made.initial_state(len(puzzle))
    for _ in range(segments):
        state, output, signals = made(detach(state), {"puzzle": puzzle})
    (output.logits.clamp(-50, 50).square().sum() + signals["q_halt"].sum()).backward()
    return detach(state), output, signals, {name: p.grad for name, p in made.named_parameters()}


@pytest.mark.parametrize("agent", ["trm_symbols", "hrm_symbols"])
@pytest.mark.parametrize(("env", "room"), [("SudokuExtreme-v0", 256), ("Sudoku6x6-v0", 10_000), ("Sudoku4x4-v0", 32)])
def test_a_graph_of_a_fixed_size_says_and_learns_the_same(env, room, agent):
    spec = TaskSpec.of(make_task(env))
    if env == "Sudoku4x4-v0":  # with a partition of fewer and larger groups than the others
        spec = dataclasses.replace(spec, groups=(*spec.groups[:2], np.arange(16).reshape(2, 8)))
    mixed = puzzles(env, 6).puzzle
    mixed[0] = puzzles(env, 1).solution[0]  # one board has no candidate
    state, output, signals, gradients = learned(policy(env, agent, spec=spec), mixed)
    fixed = policy(env, agent, spec=spec, nodes_per_board=room)
    state_, output_, signals_, gradients_ = learned(fixed, mixed)
    fixed.agent.check()
    assert torch.equal(state.z_h, state_.z_h) and torch.equal(state.z_l, state_.z_l)
    assert torch.equal(output.logits, output_.logits)
    assert torch.allclose(output.features, output_.features, atol=1e-6)
    assert torch.allclose(signals["q_halt"], signals_["q_halt"], atol=1e-5)
    for name, gradient in gradients.items():
        assert (gradient - gradients_[name]).norm() <= 1e-5 * gradient.norm(), name


def test_the_shapes_of_a_graph_of_a_fixed_size_do_not_depend_on_the_puzzles():
    task, shown = make_task("Sudoku4x4-v0"), puzzles("Sudoku4x4-v0", 3)
    partitions = [torch.as_tensor(groups) for groups in task.groups]
    shapes = set()
    for puzzle in (shown.puzzle, shown.solution, torch.zeros_like(shown.puzzle)):
        given = puzzle.unsqueeze(-1) == torch.arange(1, 5)
        graph = pad_graph(candidates(given, puzzle == 0, partitions), partitions, 100)
        shapes.add(tuple((tuple(tensor.shape), tensor.dtype) for tensor in graph))
    assert len(shapes) == 1


def test_candidates_beyond_the_room_are_reported():
    shown = puzzles("SudokuExtreme-v0", 4).puzzle
    made = policy("SudokuExtreme-v0", nodes_per_board=150)
    logits = thought(policy("SudokuExtreme-v0"), shown)[0]
    num = int(((logits > -100) & (logits < 100)).sum())
    made.agent.check()
    _, output, _ = made(made.initial_state(4), {"puzzle": shown})
    assert torch.isfinite(output.logits).all()
    with pytest.raises(HrmGymError, match=f"{num - 600:,} candidates more than --nodes-per-board 150"):
        made.agent.check()
    exact = policy("SudokuExtreme-v0", nodes_per_board=150).eval()  # whoever is not trained has room for all
    assert torch.equal(thought(exact, shown)[0], thought(policy("SudokuExtreme-v0"), shown)[0])
    exact.agent.check()


def test_training_ends_where_there_is_no_room(tmp_path):
    options = {"env": "Sudoku6x6-v0", "agent": "trm_symbols", **SMALL, "num_envs": 4, "nodes_per_board": 10}
    config = resolve({**options, "preset": "groups_small", "max_steps": 3, "eval_steps": 2, "compile": False})
    with pytest.raises(HrmGymError, match="--nodes-per-board 10 leaves room for"):
        train(config, tmp_path)


def test_what_is_compiled_for_graphs_of_a_fixed_size_leaves_lists_alone(monkeypatch):
    compiled = []
    counted = lambda f, **how: lambda *a: compiled.append(how) or f(*a)  # noqa: E731
    monkeypatch.setattr(torch, "compile", counted)
    made, shown = policy("Sudoku4x4-v0", nodes_per_board=64), puzzles("Sudoku4x4-v0", 2).puzzle
    made.agent.compile(dynamic=False, mode="reduce-overhead")
    thought(made, shown)
    cycles = made.agent.config.h_cycles * (made.agent.config.l_cycles + 1)
    assert compiled == [{"dynamic": False, "mode": "reduce-overhead"}] * cycles
    thought(made.eval(), shown)
    assert len(compiled) == cycles
