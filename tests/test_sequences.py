"""Sequence tasks: the answers by arithmetic of Python's own, forms, padding, splits, and longer boards."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import Renderer
from hrm_gym.envs.reading.source import read, read_text
from hrm_gym.envs.sequences.chain import ChainTask
from hrm_gym.envs.sequences.task import AdditionTask, CopyTask, ParityTask
from hrm_gym.envs.task import SPLITS

IDS = ("Copy-v0", "Parity-v0", "Addition-v0", "Chain-v0")
every_task = pytest.mark.parametrize(
    "task", [CopyTask(1, 7), ParityTask(1, 9), AdditionTask(1, 5), AdditionTask(base=2), ChainTask(1, 4)]
)


def by_python(task, text):
    """The question with its answer, computed on characters and integers."""
    question = text.rstrip(".").rstrip("_")
    inner = question[:-1]
    if isinstance(task, CopyTask):
        answer = inner
    elif isinstance(task, ParityTask):
        answer = str(inner.count("1") % 2)
    elif isinstance(task, ChainTask):
        pointers, place = inner.rstrip(">").split(":")
        for _ in range(inner.count(">")):
            place = pointers[int(place)]
        answer = place
    else:
        one, other = inner.split("+")
        total, digits = int(one, task.base) + int(other, task.base), ""
        for _ in range(len(one) + 1):
            total, digit = divmod(total, task.base)
            digits = str(digit) + digits
        answer = digits
    return (question + answer).ljust(task.num_cells, ".")


@every_task
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_solutions_are_those_of_python(task, seed):
    puzzles = task.sample(20, np.random.default_rng(seed))
    for puzzle, solution in zip(*puzzles[:2], strict=True):
        assert task.format(solution) == by_python(task, task.format(puzzle))
        assert (task.solve(puzzle) == solution).all()
        assert (task.parse(task.format(puzzle).split("=")[0] + "=") == puzzle).all()


@every_task
def test_violations_count_wrong_cells_alike_in_numpy_and_torch(task):
    rng = np.random.default_rng(0)
    puzzle, solution, _ = task.sample(50, rng)
    answer = np.where(rng.random(solution.shape) < 0.3, rng.integers(task.num_tokens, size=solution.shape), solution)
    wrong = ((answer != solution) & (solution != task.padding)).sum(-1)
    assert (task.violations(puzzle, answer) == wrong).all() and wrong.any()
    tensors = (torch.as_tensor(a.astype(np.int64)) for a in (puzzle, answer))
    assert (task.violations(*tensors).numpy() == wrong).all()
    padded = np.where(solution == task.padding, 3, solution)
    assert task.grade(puzzle, solution, padded).right.all()


@every_task
def test_lengths_are_drawn_evenly_and_rated(task):
    puzzle = task.sample(4_000, np.random.default_rng(1)).puzzle
    lengths, counts = np.unique(task.length(puzzle), return_counts=True)
    assert lengths.tolist() == list(range(1, task.max_length + 1))
    assert counts.min() > 0.7 * counts.mean()
    if isinstance(task, ParityTask):
        assert task.rate(task.parse("10110=")[None]).tolist() == [3]
    else:
        assert (task.rate(puzzle) == task.length(puzzle)).all()


@pytest.mark.parametrize("env_id", IDS)
def test_splits_share_no_question(env_id):
    task = hrm_gym.make_task(env_id)
    boards = [{row.tobytes() for row in task.dataset(split).puzzle} for split in SPLITS]
    assert not (boards[0] & boards[1] or boards[0] & boards[2] or boards[1] & boards[2])
    assert len(boards[0]) > 5_000 and len(boards[2]) > 500


@pytest.mark.parametrize("cls", [CopyTask, ParityTask, AdditionTask, ChainTask])
def test_short_and_long_sequences_stand_on_one_board(cls):
    short, long = cls(2, 4, capacity=9), cls(5, 9)
    assert short.shape == long.shape and short.num_tokens == long.num_tokens
    for task in (short, long):
        length = task.length(task.sample(200, np.random.default_rng(0)).puzzle)
        assert (length.min(), length.max()) == (task.min_length, task.max_length)


def test_the_steps_of_a_chain_lead_to_its_answer():
    task = ChainTask(1, 5, num_places=6)
    puzzle, solution, _ = task.sample(50, np.random.default_rng(0))
    for text, right, search, num_search, answer, num_answer in zip(
        puzzle, solution, *task.trace(puzzle, 3), strict=True
    ):
        pointers, rest = task.format(text).split(":")
        assert sorted(pointers) == list("012345")
        place, cell = rest[0], task.format(text).index("_")
        for step in search[: min(3, num_search)]:
            place = pointers[int(place)]
            assert step.tolist() == [cell, task.symbols.index(place)]
        assert (num_search, num_answer) == (rest.count(">") - 1, 1)
        assert answer[0].tolist() == [cell, right[cell]]


def test_several_short_questions_are_several_puzzles(tmp_path):
    task, lines = CopyTask(), ["314=", "275="]
    (tmp_path / "a.txt").write_text("# easy\n" + "\n".join(lines) + "\n")
    for source in (lines, {"question": lines}, tmp_path / "a.txt", {"question": lines, "answer": ["314=314", None]}):
        assert (read(source, task).puzzles.puzzle == [task.parse(line) for line in lines]).all()
    for one in ("314=", "3 1 4 =", list("314="), "\n".join("314=")):  # one cell per line is one question
        assert len(read_text(one, task).puzzles.puzzle if isinstance(one, str) else read(one, task).puzzles.puzzle) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CopyTask(1, 4).parse("12=\n13="), "the text has 2 lines: write a question on one, such as '314=___'"),
        (lambda: CopyTask(5, 4), "none may exceed"),
        (lambda: CopyTask(1, 4, capacity=3), "none may exceed"),
        (lambda: ParityTask(0, 4), "min_length=0"),
        (lambda: AdditionTask(base=11), "base=11"),
        (lambda: ChainTask(num_places=11), "num_places=11"),
        (lambda: ChainTask(num_places=4).solve(ChainTask(num_places=4).parse("2031:1=_")), r"such as '1230:1>=_'"),
        (lambda: CopyTask(num_symbols=True), "num_symbols=True"),
        (lambda: hrm_gym.make_task("Copy-v0", length=3), "unknown argument 'length'"),
        (lambda: CopyTask(1, 4).parse("12x="), "foreign character 'x'"),
        (lambda: CopyTask(1, 4).parse("12345="), "is not a question|needs 9|foreign"),
        (lambda: CopyTask(1, 4).solve(CopyTask(1, 4).parse("12=_")), "'314=___'"),
        (lambda: AdditionTask(1, 4).solve(AdditionTask(1, 4).parse("1+23=___")), "is not a question"),
        (lambda: ParityTask(1, 4).check(ParityTask(1, 4).parse("10")), "'10' is not a question"),
    ],
)
def test_bad_input(call, message):
    def both():
        tokens = call()
        if isinstance(tokens, np.ndarray):
            CopyTask(1, 4).check(tokens)

    with pytest.raises(HrmGymError, match=message) as error:
        both()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", [CopyTask(), CopyTask(60, 60), AdditionTask(), ChainTask()])
def test_the_view_draws_every_cell_that_is_no_padding_and_no_other(task, monkeypatch):
    puzzle, solution, _ = (None if a is None else a[0] for a in task.sample(1, np.random.default_rng(0)))
    renderer = Renderer(task)
    drawn = []
    monkeypatch.setattr(
        type(renderer._view), "_cell", lambda self, canvas, tile, frame, cell, **marks: drawn.append((cell, tile))
    )
    renderer.rgb(Frame(puzzle=puzzle, answer=solution, solution=solution))
    assert [cell for cell, _ in drawn] == np.flatnonzero(puzzle != task.padding).tolist()
    for i, (_, a) in enumerate(drawn):
        assert a.x >= 16 and a.right <= 624 and a.y >= 16 and a.y + a.height <= 624 and a.width >= 10
        for _, b in drawn[:i]:
            assert a.right <= b.x or b.right <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
