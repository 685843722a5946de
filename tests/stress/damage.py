"""Files of every kind that is read, truncated, with flipped bits and worse: read as they were, or refused in a line."""

import dataclasses
import gzip
import json
import types
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from loop import Loop, tiny

from hrm_gym import make_task
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.load import load_agent
from hrm_gym.agents.studies.learning_curves import read_curve
from hrm_gym.agents.training.run import train
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.cli import export
from hrm_gym.cli.given import read_given
from hrm_gym.envs.datasets import puzzles_of, read_puzzles
from hrm_gym.envs.reading.writing import write_puzzles
from hrm_gym.files import read_arrays, save_arrays

from .tally import Size, Tally, silent

ENV = "Sudoku4x4-v0"


def mutilate(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes after one to three accidents."""
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data) + 1))
        # Most accidents to headers are at the beginning.
        at = at if rng.random() < 0.6 else min(at, int(rng.integers(1, 600)))
        width = int(rng.integers(1, 200))
        junk = rng.bytes(width)
        match rng.integers(9):
            case 0:
                data = data[:at]
            case 1 | 2 | 3 if data:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
            case 4:
                data = data[:at] + bytes(width) + data[at + width :]
            case 5:
                data = data[:at] + junk + data[at:]
            case 6:
                data = data[:at] + data[at + width :]
            case 7:
                data = data[:at] + data[:at]
            case 8:
                data = [b"", junk, data[::-1], data[at:]][int(rng.integers(4))]
    return data


def run(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """All kinds."""
    task = make_task(ENV)
    puzzles = task.dataset("test").map(lambda array: array[:20])
    tallies = [_checkpoints(size, folder, rng), _forged(size, folder, rng)]

    def read_all(path: Path) -> None:
        for solved in (True, False):
            read_puzzles(path, task, solved=solved)

    write_puzzles(folder / "whole.csv", puzzles, task)
    csv = (folder / "whole.csv").read_bytes()
    lines = "\n".join(map(task.format, puzzles.puzzle)).encode()
    kinds = {
        "csv": (".csv", csv, read_all),
        "csv, gzipped": (".csv.gz", gzip.compress(csv), lambda path: read_puzzles(path, task)),
        "text": (".txt", lines, lambda path: read_given(str(path), task)),
        "ARC json": (".json", _arc(), _read_arc),
        "npz": (".npz", _npz(folder), read_arrays),
    }
    for name, (suffix, whole, read) in kinds.items():
        tally = Tally(f"mutilated files: {name}")
        for i in range(size.files):
            path = folder / f"damaged{i}{suffix}"  # a name of its own: what is read is kept by name
            path.write_bytes(mutilate(whole, rng))
            tally.case(f"{name} {path}", lambda path=path, read=read: read(path))
            path.unlink()
        tallies.append(tally)
    tallies.append(_results(size, folder, rng))
    return [*tallies, _folders(size, folder, rng, task, puzzles)]


def _checkpoints(size: Size, folder: Path, rng: np.random.Generator) -> Tally:
    """A changed checkpoint is refused, or says exactly what the whole one said."""
    tally = Tally("mutilated files: checkpoint")
    config = tiny()
    checkpoints.save(folder / "whole.safetensors", Loop(config).snapshot())
    whole, saved = (folder / "whole.safetensors").read_bytes(), checkpoints.load(folder / "whole.safetensors")
    path = folder / "damaged.safetensors"

    def use() -> None:
        loaded = checkpoints.load(path)
        same = loaded.config == saved.config and loaded.counters == saved.counters
        for name, tensor in saved.tensors.items():
            same = same and name in loaded.tensors and torch.equal(tensor, loaded.tensors[name])
        if not same:
            raise AssertionError("a damaged checkpoint was accepted")
        load_agent(ENV, path)
        Trainer(config, loaded)

    for i in range(size.files):
        path.write_bytes(mutilate(whole, rng))
        tally.case(f"checkpoint {i}", use)
    return tally


class _Written:
    """A configuration that says what it is asked to say."""

    def __init__(self, fields: dict) -> None:
        self.fields = fields

    def to_json(self) -> str:
        return json.dumps(self.fields)


MINDS = [
    *(("hrm", "q_learning"), ("trm", "classifier"), ("ut", "act"), ("looped", "confidence"), ("dnc", "fixed")),
    *(("rrn", "pondernet"), ("neural_gpu", "q_learning"), ("latent_tokens", "fixed"), ("trans_nar", "classifier")),
]
"""Agents and halting rules that a forged file is of."""
WRONG = [
    None,
    -1,
    0,
    1.5,
    "",
    "abc",
    [],
    {},
    [1, 2],
    10**5,
    10**12,
    10**30,
    1e300,
    float("nan"),
    True,
    "/dev/zero",
    "os:path",
    "hrm",
    "trm",
]


def _forged(size: Size, folder: Path, rng: np.random.Generator) -> Tally:
    """Checkpoints whose checksum is right and whose content is not."""
    tally = Tally("forged files: checkpoint")
    honest = [Loop(tiny(agent=agent, halting=halting, num_envs=2)).snapshot() for agent, halting in MINDS]
    path = folder / "forged.safetensors"

    def use() -> None:
        loaded = checkpoints.load(path)
        load_agent(ENV, path, device="cpu")
        Loop(dataclasses.replace(loaded.config, device="cpu"), loaded).step()

    for i in range(size.files):
        saved = honest[i % len(honest)]
        fields, counters = json.loads(saved.config.to_json()), json.loads(json.dumps(saved.counters))
        tensors, board = dict(saved.tensors), {name: getattr(saved.spec, name) for name in checkpoints.BOARD}
        what = []
        for _ in range(int(rng.integers(1, 3))):
            places: list[dict] = [fields, counters, board, tensors, tensors]
            places += [fields.get("agent_options"), fields.get("halting_options")]
            places = [place for place in places if isinstance(place, dict) and place]
            place = places[int(rng.integers(len(places)))]
            name = list(place)[int(rng.integers(len(place)))]
            what.append(name)
            if rng.random() < 0.25:
                del place[name]
            elif place is not tensors:
                place[name] = WRONG[int(rng.integers(len(WRONG)))]
            else:
                tensor = place[name]
                changes = [
                    lambda t: t.reshape(-1)[: t.numel() // 2],
                    lambda t: t.double() * float("nan"),
                    lambda t: t.bool(),
                    lambda t: t.unsqueeze(0),
                    lambda t: torch.full_like(t, 101),
                    lambda t: torch.zeros(0),
                    lambda t: t.long() - 5,
                ]
                place[name] = changes[int(rng.integers(len(changes)))](tensor)
        forged = checkpoints.Checkpoint(_Written(fields), types.SimpleNamespace(**board), counters, tensors)
        board_names = tuple(board)
        with mock.patch.object(checkpoints, "BOARD", board_names):
            checkpoints.save(path, forged)
        tally.case(f"forged {i} {saved.config.agent} {what}", use)
    return tally


def _folders(size: Size, folder: Path, rng: np.random.Generator, task, puzzles) -> Tally:
    tally = Tally("mutilated files: npy folder")
    place = folder / "arrays"
    place.mkdir()
    for name, array in (("inputs", puzzles.puzzle), ("labels", puzzles.solution)):
        np.save(place / f"all__{name}.npy", array + 1)
    (place / "dataset.json").write_text(json.dumps({"vocab_size": task.num_tokens + 1}))
    whole = {path: path.read_bytes() for path in place.iterdir()}
    for i in range(size.files):
        for path, data in whole.items():
            path.write_bytes(data)
        path = list(whole)[int(rng.integers(len(whole)))]
        path.write_bytes(mutilate(whole[path], rng))
        tally.case(f"folder {i}", lambda: read_puzzles(place, task))
    return tally


def _results(size: Size, folder: Path, rng: np.random.Generator) -> Tally:
    """What a run says it came to, read by `plot`, `export` and `compare`."""
    tally = Tally("mutilated files: result.json")
    run, out = folder / "run", folder / "out"
    out.mkdir()
    config = tiny(max_steps=4, num_envs=2, eval_puzzles=2, test_puzzles=2, eval_steps=2)
    with silent():
        train(config, run)
    whole = (run / "result.json").read_bytes()

    def read() -> None:
        read_curve(run)
        with mock.patch("builtins.print"):
            export.run([str(run), "--out", str(out / "a.safetensors"), "--overwrite"])

    for i in range(size.files):
        (run / "result.json").write_bytes(_changed_words(whole, rng) if i % 2 else mutilate(whole, rng))
        tally.case(f"result {i}", read)
    return tally


def _changed_words(whole: bytes, rng: np.random.Generator) -> bytes:
    """A JSON object with one to three of its values of another kind, or missing."""
    value = json.loads(whole)
    for _ in range(int(rng.integers(1, 4))):
        places = [value]
        while places and isinstance(places[-1], dict | list) and places[-1] and (len(places) < 2 or rng.random() < 0.7):
            place = places[-1]
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = keys[int(rng.integers(len(keys)))]
            places.append(place[key])
        if rng.random() < 0.3:
            del place[key]
        else:
            place[key] = WRONG[int(rng.integers(len(WRONG)))]
    return json.dumps(value).encode()


def _arc() -> bytes:
    pair = {"input": [[0, 1], [2, 3]], "output": [[3, 2], [1, 0]]}
    return json.dumps({name: {"train": [pair, pair], "test": [pair]} for name in "abc"}).encode()


def _read_arc(path: Path) -> None:
    with silent():
        puzzles_of(make_task("ARC1-v0", str(path), side=5), "train", str(path))


def _npz(folder: Path) -> bytes:
    save_arrays({"a": np.arange(300), "b": np.zeros((9, 9), np.uint8)}, folder / "whole.npz")
    return (folder / "whole.npz").read_bytes()
