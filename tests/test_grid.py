"""`trm` and `hrm` over convolved boards: how far a segment reaches, the same on every board, sizes, identities."""

import pytest
import torch
import torch.nn.functional as F

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.grid import GridBlock, GridTRM, refine, sureness
from hrm_gym.agents.models.layers import rms_norm
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.envs.registration import make_task

# One block: the latent state is refined once and the answer's once, in each of two cycles.
SMALL = {"device": "cpu", "dtype": "float32", "hidden_size": 8, "mlp_size": 8, "h_cycles": 1, "l_cycles": 1}
LAYERS = {"trm_grid": {"layers": 1}, "hrm_grid": {"h_layers": 1, "l_layers": 1}}


def policy(agent, task, env="MazeSmall-v0"):
    torch.manual_seed(0)
    return build(resolve({"env": env, "agent": agent, **SMALL, **LAYERS[agent]}), TaskSpec.of(task))


def logits(made, puzzle, segments=1):
    state = made.initial_state(len(puzzle))
    with torch.no_grad():
        for _ in range(segments):
            state, output, _ = made(state, {"puzzle": puzzle})
    return output.logits.unflatten(1, made.agent.spec.shape)  # (B, rows, columns, V)


@pytest.mark.parametrize("agent", LAYERS)
def test_a_segment_reaches_as_far_as_its_blocks_and_further_ones_go_on(agent):
    task = make_task("MazeSmall-v0", size=15, min_path=2)
    made = policy(agent, task)
    puzzle = torch.full((1, 225), 1)
    other = puzzle.clone()
    other[0, 7 * 15 + 7] = 0  # a wall in the middle
    row, column = torch.meshgrid(torch.arange(15), torch.arange(15), indexing="ij")
    away = torch.maximum((row - 7).abs(), (column - 7).abs())  # steps in eight directions
    for segments, reach in ((1, 2), (2, 4)):  # two networks of one block a segment
        changed = (logits(made, puzzle, segments) != logits(made, other, segments)).any(-1)[0]
        assert changed[away <= reach].all() and not changed[away > reach].any()


@pytest.mark.parametrize("agent", LAYERS)
def test_the_weights_run_on_boards_of_every_size_and_say_the_same_there(agent):
    small, large = (make_task("MazeSmall-v0", size=size, min_path=2) for size in (9, 12))
    one, other = policy(agent, small), policy(agent, large)
    other.load_state_dict(one.state_dict())
    assert type(one.agent).fits(TaskSpec.of(small), TaskSpec.of(large))
    board = torch.randint(0, 2, (3, 9, 9))
    canvas = torch.randint(0, 2, (3, 12, 12))
    canvas[:, 3:, 3:] = board  # the same lower right corner
    same = logits(other, canvas.flatten(1))[:, 5:, 5:], logits(one, board.flatten(1))[:, 2:, 2:]
    assert torch.allclose(*same, atol=1e-5)


def test_a_block_is_what_it_says():
    """Against a convolution by a loop over the nine neighbours."""
    torch.manual_seed(0)
    block = GridBlock(GridTRM.Config(hidden_size=6, mlp_size=5))
    x = torch.randn(2, 4, 5, 6)
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    near = [padded[:, row : row + 4, column : column + 5] for row in range(3) for column in range(3)]
    mixed = torch.cat(near, dim=-1) @ block.mix.T
    y = rms_norm(x + F.silu(x @ block.gate.T) * mixed)
    y = rms_norm(y + (F.silu(y @ block.mlp_gate.T) * (y @ block.mlp_up.T)) @ block.mlp_down.T)
    weights = [getattr(block, name) for name in block.NAMES]
    assert torch.allclose(refine(x * 0.5, x * 0.5, weights), y, atol=1e-5)


def test_halting_reads_the_least_sure_cells_and_not_how_many_there_are():
    logits = torch.zeros(2, 100, 5)
    logits[..., 2] = 3.0
    logits[1, 37, 4] = 2.5  # one cell is not sure
    features = sureness(logits)
    assert features.shape == (2, 16) and (features[0] == 3).all()
    assert features[1, 0] == 0.5 and (features[1, 1:] == 3).all()
    assert torch.equal(sureness(logits[:, 30:50]), features)
    assert sureness(10 * logits).max() == 10 and (sureness(logits[:, :4])[:, 4:] == 10).all()


def test_no_gradient_of_halting_reaches_the_network():
    made = policy("trm_grid", make_task("MazeSmall-v0"))
    signals = made(made.initial_state(2), {"puzzle": torch.ones(2, 100, dtype=torch.long)})[2]
    signals["q_halt"].sum().backward()
    assert all(p.grad is None for p in made.agent.parameters())
    assert all(p.grad is not None for p in made.halting.parameters())


def test_it_is_compiled_for_a_few_batch_sizes(monkeypatch):
    compiled = []
    counted = lambda f, **how: lambda x, *rest: compiled.append(len(x)) or f(x, *rest)  # noqa: E731
    monkeypatch.setattr(torch, "compile", counted)
    made = policy("hrm_grid", make_task("MazeSmall-v0"))
    puzzle = torch.randint(0, 2, (6, 100))
    plain = logits(made, puzzle)
    made.agent.compile()
    assert torch.equal(logits(made, puzzle), plain)
    for num in (5, 4, 3, 2, 6):
        logits(made, puzzle[:num])
    assert set(compiled) == {6, 5, 4} and compiled[-1] == 6


def test_arc_tasks_reach_every_cell():
    task = make_task("ARC1-v0")
    made = policy("trm_grid", task, env="ARC1-v0")
    torch.nn.init.normal_(made.agent.read.puzzles.weight)
    puzzle = torch.zeros(2, task.num_cells, dtype=torch.long)
    output = made(made.initial_state(2), {"puzzle": puzzle, "puzzle_id": torch.tensor([0, 1])})[1]
    assert (output.logits[0] != output.logits[1]).any(-1).all()
