"""Agents on planes: what they read, its gradients, and under which changes of a board their answers change with it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.layers import rms_norm
from hrm_gym.agents.models.objects_traced import object_features as traced_features
from hrm_gym.agents.models.planes import PlanesHRM, PlanesTRM
from hrm_gym.agents.models.planes_fused import GatedNorm, GatedProduct, SumNorm
from hrm_gym.agents.models.planes_loops import KEYS, WIDTH
from hrm_gym.agents.models.planes_mixing import Reading, num_read
from hrm_gym.agents.models.planes_objects import object_features
from hrm_gym.envs.arc.grids import COLOURS, FIRST_COLOUR, encode

SIDE = 7
SPEC = TaskSpec(SIDE, SIDE, 12, colours=COLOURS)
FORMS = ("symmetric", "directional")


def agent_of(cls=PlanesHRM, **options):
    """An agent whose every weight does something."""
    torch.manual_seed(0)
    layers = {"layers": 1} if cls is PlanesTRM else {"h_layers": 1, "l_layers": 1, "gradient": "last_cycle"}
    agent = cls(cls.Config(**{**layers, "h_cycles": 1, **options}), SPEC)  # as tasks are learned
    agent.added[3:] = False
    with torch.no_grad():
        agent.head.normal_(std=0.2)
        agent.read_objects.normal_(std=0.3)
        if options.get("colour_names", True):
            agent.embed_task.weight.normal_()
    return agent


def think(agent, grids, segments=2):
    """Logits, (B, rows, columns, 10), of grids of one size after some segments."""
    puzzle = torch.from_numpy(np.stack([encode(grid, side=SIDE) for grid in grids])).long()
    state = agent.initial_state(len(grids))
    with torch.no_grad():
        for _ in range(segments):
            state, output = agent(state, {"puzzle": puzzle})
    rows, columns = grids[0].shape
    return output.logits.view(-1, SIDE, SIDE, 12)[:, :rows, :columns, FIRST_COLOUR:]


def grids(rows=5, columns=5, num=2):
    return np.random.default_rng(1).integers(0, 5, (num, rows, columns)).astype(np.uint8)


@pytest.mark.parametrize("cls", [PlanesHRM, PlanesTRM])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("columns", [5, 6])
def test_answers_are_recoloured_with_the_board(cls, form, columns):
    agent = agent_of(cls, form=form, colour_names=False)
    agent.added[:] = True
    before = think(agent, grids(columns=columns))
    recoloured = np.array([0, 4, 9, 1, 7, 2, 8, 3, 5, 6], np.uint8)  # the background stays
    after = think(agent, recoloured[grids(columns=columns)])
    assert before[before > -50].std() > 0.5
    torch.testing.assert_close(after[..., torch.from_numpy(recoloured).long()], before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cls", [PlanesHRM, PlanesTRM])
@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("columns", [5, 6])
def test_the_symmetric_form_turns_its_answers_with_the_board(cls, names, columns):
    agent = agent_of(cls, form="symmetric", colour_names=names)
    boards = grids(columns=columns)
    before = think(agent, boards)
    for turns in range(4):
        for mirrored in (False, True):

            def moved(array, turns=turns, mirrored=mirrored):
                array = np.rot90(array, turns, (1, 2))
                return np.ascontiguousarray(array[:, :, ::-1] if mirrored else array)

            after = think(agent, moved(boards))
            torch.testing.assert_close(after, torch.from_numpy(moved(before.numpy())), atol=1e-5, rtol=1e-5)


def test_the_directional_form_and_names_tell_things_apart():
    boards = grids()
    for form, names, change in (("directional", False, lambda g: g[:, :, ::-1]), ("symmetric", True, lambda g: 4 - g)):
        agent = agent_of(form=form, colour_names=names)
        before, after = think(agent, boards), think(agent, np.ascontiguousarray(change(boards)).astype(np.uint8))
        back = after.flip(2) if form == "directional" else after[..., [4, 3, 2, 1, 0, 5, 6, 7, 8, 9]]
        assert (before - back).abs().max() > 0.1


def test_boards_of_several_sizes_do_not_disturb_one_another():
    agent = agent_of()
    small, large = grids(3, 4, 1)[0], grids(6, 5, 1)[0]
    puzzle = torch.from_numpy(np.stack([encode(grid, side=SIDE) for grid in (small, large)])).long()
    with torch.no_grad():
        _, both = agent(agent.initial_state(2), {"puzzle": puzzle})
        _, alone = agent(agent.initial_state(1), {"puzzle": puzzle[1:]})
    torch.testing.assert_close(both.logits[1:], alone.logits, atol=1e-5, rtol=1e-5)
    outside = puzzle < FIRST_COLOUR
    assert (both.logits.argmax(-1)[outside] == puzzle[outside]).all()  # markers and padding stay


def test_colours_that_no_board_shows_are_not_answered():
    agent = agent_of()
    agent.added[:] = False
    logits = think(agent, np.full((1, 3, 3), 4, np.uint8))
    assert (logits.argmax(-1) == 4).all()
    assert (logits[..., [0, 1, 2, 3, 5, 6, 7, 8, 9]] == -100).all()


# ---- what nodes read, against plain tensor operations ------------------------------------------------


def beam_plainly(value, gate, down, right):
    """What arrives at each cell from the cell before it in a direction, sent on again and again."""
    rows, columns = value.shape[1:3]
    passes, arrived = (1 + gate) / 2, torch.zeros_like(value)
    for _ in range(max(rows, columns)):
        sent = F.pad(passes * arrived + (1 - passes) * value, (0, 0, 1, 1, 1, 1))
        arrived = sent[:, 1 - down : 1 - down + rows, 1 - right : 1 - right + columns]
    return arrived


def read_plainly(x, keys, colours, rows, columns, directional):
    """`Reading` of one board by operations of torch."""
    size = x.shape[1]
    x = x.view(colours, rows, columns, size)
    a, b, m, v, gate = keys.view(colours, rows, columns, KEYS, WIDTH).unbind(3)
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    steps = [(-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    near = [padded[:, 1 + r : 1 + r + rows, 1 + c : 1 + c + columns] for r, c in steps]
    left, right = a.cummax(2).values, a.flip(2).cummax(2).values.flip(2)
    up, down = a.cummax(1).values, a.flip(1).cummax(1).values.flip(1)
    row, column = torch.minimum(left, right), torch.minimum(up, down)
    row1, column1 = torch.maximum(left, right), torch.maximum(up, down)
    over = [b.mean(0, keepdim=True), b.amax(0, keepdim=True), b.mean((1, 2), True), b.amax((1, 2), True)]
    pools = [pool.expand(colours, rows, columns, WIDTH) for pool in over]
    images = [m.flip(2), m.flip(1), m.flip((1, 2))]
    square = [m.transpose(1, 2), m.transpose(1, 2).flip((1, 2)), torch.rot90(m, 1, (1, 2)), torch.rot90(m, -1, (1, 2))]
    images += square if rows == columns else [torch.zeros_like(m)] * 4
    ways = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)]
    beams = [beam_plainly(v, gate, *way) for way in ways]
    if directional:
        parts = [x, *near, left, right, up, down, row, column, row1, column1, *pools, *images, *beams]
    else:
        blind = [(left + right + up + down) / 4, torch.maximum(row, column), torch.minimum(row, column)]
        sums = [images[2], images[0] + images[1], images[3] + images[4], images[5] + images[6]]
        shone = []
        for four in (beams[:4], beams[4:]):  # straight and diagonal
            across, along = torch.minimum(*four[:2]), torch.minimum(*four[2:])
            shone += [sum(four) / 4, torch.maximum(across, along), torch.stack(four).amax(0)]
        parts = [x, sum(near[:4]), sum(near[4:]), *blind, torch.maximum(row1, column1), *pools, *sums, *shone]
    return torch.cat(parts, -1).flatten(0, 2)


@pytest.mark.parametrize("directional", [False, True])
@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 5), (1, 1, 6)])
def test_nodes_read_what_plain_operations_say_and_gradients_go_back(shape, directional):
    torch.manual_seed(1)
    num = int(np.prod(shape))
    x = torch.randn(num, 2 * WIDTH, requires_grad=True)
    keys = torch.tanh(torch.randn(num, KEYS * WIDTH)).requires_grad_()
    weight = torch.randn(num, num_read(2 * WIDTH, directional))
    boards = np.array([[0, *shape]])
    mine, plain = Reading.apply(x, keys, boards, directional), read_plainly(x, keys, *shape, directional)
    torch.testing.assert_close(mine[:, : 3 * WIDTH], plain[:, : 3 * WIDTH])
    same_quarter = not directional or shape[1] != shape[2]
    if same_quarter:
        torch.testing.assert_close(mine, plain)
    else:  # either quarter turn may come first
        for part in (slice(-10 * WIDTH), slice(-8 * WIDTH, None)):
            torch.testing.assert_close(mine[:, part], plain[:, part])
    torch.testing.assert_close(mine.sum(1), plain.sum(1), rtol=1e-4, atol=1e-4)
    if same_quarter:
        ours, theirs = (torch.autograd.grad((out * weight).sum(), (x, keys)) for out in (mine, plain))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_fused_operations_have_the_gradients_of_plain_ones():
    torch.manual_seed(1)
    x, gate, y = (torch.randn(9, 24, requires_grad=True) for _ in range(3))
    both, weight = torch.randn(9, 96, requires_grad=True), torch.randn(9, 48)
    cases = [
        (GatedNorm.apply(x, gate, y), rms_norm(x + F.silu(gate) * y), (x, gate, y), weight[:, :24]),
        (SumNorm.apply(x, y), rms_norm(x + y), (x, y), weight[:, :24]),
        (GatedProduct.apply(both), F.silu(both[:, :48]) * both[:, 48:], (both,), weight),
    ]
    for mine, plain, inputs, w in cases:
        torch.testing.assert_close(mine, plain)
        ours, theirs = (torch.autograd.grad((out * w).sum(), inputs) for out in (mine, plain))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_objects_know_their_size_and_what_they_are_around():
    board = np.array([[int(c) for c in row] for row in ["222000", "202000", "222033", "000000"]])
    size, largest, smallest, alone, border, around, *_ = object_features(board)
    ring, pair, hole = (0, 0), (2, 4), (1, 1)
    assert size[ring] > size[pair] > size[hole]
    assert largest[ring] and smallest[pair] and not largest[pair] and alone[ring]
    assert smallest[hole] and not border[hole] and border[ring]
    assert around[ring] and not around[pair] and not around[3, 0]


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_the_traced_form_computes_the_same(form, views, monkeypatch):
    rng = np.random.default_rng(3)
    boards = np.stack(
        [encode(rng.integers(0, 4, shape).astype(np.uint8), side=SIDE) for shape in ((5, 5), (4, 6), (7, 2))]
    )
    spec = TaskSpec(SIDE * views, SIDE, 12, colours=COLOURS)
    puzzle = torch.from_numpy(np.concatenate([boards[:, None], boards[::-1, None]][:views], 1)).long().flatten(1)
    puzzle[0, 3] = 0  # a hole, outside the colours
    torch.manual_seed(0)
    depth = dict.fromkeys(("h_layers", "l_layers", "h_cycles", "l_cycles"), 1)
    agent = PlanesHRM(PlanesHRM.Config(form=form, views=views, **depth), spec)
    agent.added[3:] = False
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        outputs = []
        for traced in (False, True):
            monkeypatch.setattr(torch.compiler, "is_exporting", lambda traced=traced: traced)
            state = agent.initial_state(3)
            for _ in range(2):
                state, output = agent(state, {"puzzle": puzzle})
            outputs.append((*state, *output[:2]))
    for ours, theirs in zip(*outputs, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)


def spiral(side):
    """A corridor of colour 1 that winds inwards: the longest way between two cells of one object."""
    board = np.zeros((side, side), np.int64)
    r, c, dr, dc = 0, 0, 0, 1
    board[0, 0] = 1
    while True:
        for _ in range(2):
            ahead = r + 2 * dr, c + 2 * dc
            if (
                0 <= r + dr < side
                and 0 <= c + dc < side
                and not (0 <= ahead[0] < side and 0 <= ahead[1] < side and board[ahead])
                and not board[r + dr, c + dc]
            ):
                break
            dr, dc = dc, -dr
        else:
            return board
        r, c = r + dr, c + dc
        board[r, c] = 1


@pytest.mark.parametrize("side", [4, 11, 30])
def test_objects_found_by_labels_are_those_of_the_loop(side):
    rng = np.random.default_rng(side)
    boards = [rng.integers(-1, 4, (side, side)), rng.integers(0, 2, (side, side)), spiral(side), 1 - spiral(side)]
    boards.append(np.where(np.arange(side) % 4 < 3, 0, 2) * np.ones((side, 1), np.int64))
    boards = np.stack(boards).astype(np.int64)
    found = traced_features(torch.from_numpy(boards), torch.ones(boards.shape, dtype=torch.bool))
    for board, ours in zip(boards, found.numpy(), strict=True):
        np.testing.assert_allclose(ours, object_features(board).transpose(1, 2, 0), atol=1e-6)
    assert spiral(30).sum() > 440
