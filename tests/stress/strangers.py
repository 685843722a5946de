"""What strangers hand in: any object for any argument of the public functions, and puzzles in every form and damage."""

import bz2
import gzip
import io
import itertools
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import hrm_gym
from hrm_gym import make_task
from hrm_gym.envs.datasets import puzzles_of
from hrm_gym.envs.drawing.text import board_text
from hrm_gym.envs.reading.objects import tokens_of
from hrm_gym.envs.reading.source import read
from hrm_gym.envs.reading.writing import write_puzzles
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

from .damage import mutilate
from .hands import THINGS, VALUES, Reached, thing
from .tally import Size, Tally, silent

ENV = "Sudoku4x4-v0"
PUZZLE = "1...2..4..3..1.."

# ---- calls -----------------------------------------------------------------------------------------------

MORE: list[Any] = [
    *(
        PUZZLE,
        PUZZLE.encode(),
        list(PUZZLE),
        ["1...", "2..", "..3.", ".1.."],
        [[1, 0], [2]],
        Path("nowhere"),
        Path("/proc"),
    ),
    *(io.StringIO(PUZZLE), io.BytesIO(b"\xff\x00"), np.array([PUZZLE]), np.zeros((2, 16), int), np.full((4, 4), 257)),
    *({"puzzle": PUZZLE}, {"quizzes": [PUZZLE], "solutions": []}, [None] * 16, torch.zeros(16), torch.device("cpu")),
    *(0, 1, 2, 2.0, "2", float("-inf"), np.bool_(True), np.array(3), range(16), lambda: 3, Ellipsis, NotImplemented),
]
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "make": (hrm_gym.make, {"env": ENV, "num_examples": 20}),
    "make_vec": (hrm_gym.make_vec, {"env": ENV, "num_envs": 2, "num_examples": 20}),
    "make_task": (lambda task, dataset=None, **more: make_task(task, dataset, **more), {"task": ENV}),
    "load_agent": (hrm_gym.load_agent, {"env": ENV, "device": "cpu"}),
    "evaluate": (hrm_gym.evaluate, {"env": ENV, "limit": 1, "max_segments": 1, "device": "cpu"}),
    "solve": (hrm_gym.solve, {"env": ENV, "puzzle": PUZZLE, "max_segments": 1, "seconds": 0, "device": "cpu"}),
    "train": (hrm_gym.train, {"env": ENV, "agent": "trm", "device": "cpu"}),
    "puzzles_of": (lambda split, dataset=None, **more: puzzles_of(TASK, split, dataset, **more), {"split": "test"}),
    "read": (lambda source, **more: read(source, TASK, **more), {"source": [PUZZLE]}),
    "tokens_of": (lambda value: tokens_of(TASK, value), {"value": PUZZLE}),
}
TASK = make_task(ENV)
OPTIONS = {
    "make": [
        "split",
        "dataset",
        "augment",
        "hints",
        "graded_by",
        "max_segments",
        "segment_cost",
        "obs_type",
        "render_mode",
    ],
    "make_vec": ["device", "autoreset_mode", "max_episode_steps", "dataset", "split", "guesses", "ranked"],
    "make_task": ["dataset", "size", "extreme", "hard_by", "foo"],
    "load_agent": ["checkpoint"],
    "evaluate": [
        "checkpoint",
        "split",
        "puzzles",
        "batch_size",
        "rollouts",
        "halting",
        "select",
        "noise",
        "votes",
        "seed",
    ],
    "solve": ["checkpoint", "rollouts", "vary", "boards"],
    "train": [
        "dataset",
        "run_dir",
        "init_from",
        "max_steps",
        "hidden_size",
        "preset",
        "seed",
        "halting",
        "course",
        "lr",
    ],
    "puzzles_of": ["dataset", "num_examples"],
    "read": [],
    "tokens_of": [],
}


def _world() -> Any:
    """The global state that no call may change."""
    numpy = np.random.get_state()  # noqa: NPY002
    return (
        random.getstate(),
        (numpy[0], numpy[1].tobytes(), *numpy[2:]),
        torch.get_rng_state().numpy().tobytes(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        sorted(np.geterr().items()),
    )


def calls(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """Every public function with something odd for one or two of its arguments; the world stays as it was."""
    tally = Tally("odd arguments to public functions")

    def trained(*arguments: Any, **more: Any) -> None:
        raise Reached

    with mock.patch("hrm_gym.api._train", trained):
        for i in range(size.calls):
            name = list(CALLS)[i % len(CALLS)]
            function, usual = CALLS[name]
            arguments = dict(usual)
            for _ in range(int(rng.integers(1, 3))):
                names = [*usual, *OPTIONS[name]]
                odd = [*THINGS, *MORE, *VALUES]
                value = thing(rng, (16,)) if rng.random() < 0.3 else odd[int(rng.integers(len(odd)))]
                if isinstance(value, io.IOBase):
                    value.seek(0)
                arguments[names[int(rng.integers(len(names)))]] = value

            def call(function=function, arguments=arguments, name=name) -> None:
                try:
                    with silent():
                        made = function(**arguments)
                except Reached:
                    return
                if name.startswith("make_v") or name == "make":
                    made.close()

            before = _world()
            tally.case(f"{name} {arguments!r}", call)
            tally.lost += _world() != before
    return [tally]


# ---- forms -----------------------------------------------------------------------------------------------


def _rows(task: Task, text: str) -> list[str]:
    columns = task.shape[1]
    return [text[i : i + columns] for i in range(0, len(text), columns)]


def _layouts(task: Task, tokens: np.ndarray, rng: np.random.Generator) -> list[str]:
    """One board in every layout, with a blank that is drawn."""
    blank = ".0_*-x?"[int(rng.integers(7))]
    text = task.format(tokens).replace(".", blank)
    rows = _rows(task, text)
    return [
        *(text, "\n".join(rows), "\r\n".join(rows), "\n".join(" ".join(row) for row in rows), ",".join(text)),
        *(
            "\n".join(";".join(row) for row in rows),
            "\n".join("\t".join(row) for row in rows),
            "\n".join(rows) + "\n\n",
        ),
        *(board_text(task, tokens), board_text(task, tokens, bold=task.is_given(tokens)), str(rows)),
        *(json.dumps(tokens.tolist()), json.dumps(tokens.reshape(task.shape).tolist()), json.dumps({"puzzle": rows})),
        *(f"Grid 07\n{text}", f"# a comment\n{text}", f"{text} # easy", f"[Puzzle]\n{chr(10).join(rows)}\n"),
    ]


def _files(task: Task, puzzles: Puzzles) -> dict[str, bytes]:
    """Several boards in every form of file."""
    pairs = [(task.format(a), task.format(b)) for a, b in zip(puzzles.puzzle, puzzles.solution, strict=True)]
    lines = "\n".join(a for a, _ in pairs)
    board = "\n\n".join("\n".join(_rows(task, a)) for a, _ in pairs)
    objects = [{"puzzle": a, "solution": b} for a, b in pairs]
    arrays = io.BytesIO()
    np.savez(arrays, quizzes=puzzles.puzzle, solutions=puzzles.solution)
    array = io.BytesIO()
    np.save(array, puzzles.puzzle.reshape(-1, *task.shape))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "quizzes,solutions\n" + "\n".join(map(",".join, pairs)))
    return {
        "a.csv": ("question,answer\n" + "\n".join(map(",".join, pairs))).encode(),
        "no header.csv": "\n".join(map(";".join, pairs)).encode(),
        "tabs.TSV": ("Puzzle\tSolution\n" + "\n".join(map("\t".join, pairs))).encode("utf-16"),
        "lines.sdm": lines.encode(),
        "rows.txt": board.encode("utf-8-sig"),
        "grids.txt": "\n".join(f"Grid {i}\n" + "\n".join(_rows(task, a)) for i, (a, _) in enumerate(pairs)).encode(),
        "pairs.txt": "\n".join(map(" ".join, pairs)).encode(),
        "a.json": json.dumps(objects).encode(),
        "a.jsonl": "\n".join(map(json.dumps, objects)).encode(),
        "a.npy": array.getvalue(),
        "a.npz": arrays.getvalue(),
        "a.zip": packed.getvalue(),
        "a.txt.gz": gzip.compress(lines.encode()),
        "a.txt.bz2": bz2.compress(lines.encode()),
        "a.txt.xz": lzma.compress(lines.encode()),
    }


def forms(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """What is whole is read as it was written; what is damaged is refused in a line, or still holds boards."""
    whole, damaged = Tally("puzzles in every form"), Tally("mutilated puzzles in every form")
    tasks = [make_task(name) for name in (ENV, "Sudoku6x6-v0", "Sudoku9x9-v0")]
    sets = [task.dataset("test") for task in tasks]

    def same(source: Any, task: Task, wanted: np.ndarray) -> None:
        try:
            found = read(source, task, solved=False).puzzles.puzzle
        except HrmGymError as error:
            raise AssertionError(f"it is whole, and was refused: {error}") from None
        if not np.array_equal(found, wanted):
            raise AssertionError("it was read as something else")

    def usable(source: Any, task: Task) -> None:
        found = read(source, task, solved=False).puzzles
        if found.puzzle.dtype != np.uint8 or found.puzzle.max() >= task.num_tokens:
            raise AssertionError("tokens that are none")

    turn = itertools.count()
    while whole.cases < size.forms:
        i = next(turn) % len(tasks)
        task, data = tasks[i], sets[i]
        index = rng.integers(len(data.puzzle), size=4)
        some = data.map(lambda array, index=index: array[index])
        for layout in _layouts(task, some.puzzle[0], rng):
            path = folder / "board.txt"
            path.write_text(layout)
            whole.case(layout, lambda path=path, task=task, some=some: same(path, task, some.puzzle[:1]))
            path.write_bytes(mutilate(layout.encode(), rng))
            damaged.case(layout, lambda path=path, task=task: usable(path, task))
        for name, content in _files(task, some).items():
            path = folder / name
            path.write_bytes(content)
            whole.case(name, lambda path=path, task=task, some=some: same(path, task, some.puzzle))
            path.write_bytes(mutilate(content, rng))
            damaged.case(f"{name} {path.read_bytes()[:200]!r}", lambda path=path, task=task: usable(path, task))
        for name in ("a.csv.xz", "b.jsonl.bz2", "c.txt"):
            write_puzzles(folder / name, some, task)
            whole.case(name, lambda path=folder / name, task=task, some=some: same(path, task, some.puzzle))
    return [whole, damaged]
