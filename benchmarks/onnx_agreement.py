"""Whole episodes of the shipped agents by torch and by onnxruntime: the same answers after the same segments?

    python benchmarks/onnx_agreement.py --limit 200
    python benchmarks/onnx_agreement.py --agents Sudoku4x4-v0 --graphs build/graphs

Each episode ends when the agent halts, or after 16 segments. One line an agent.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import hrm_gym
from hrm_gym.agents.inference.think import think
from hrm_gym.agents.saved.sources import shipped

SEGMENTS, BATCH = 16, 25


def by_onnx(session: Any, boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The answers when each board halts, (n, L), and after how many segments, (n,); boards (n, rows, columns)."""
    sizes = {"batch": len(boards), "rows": boards.shape[1], "columns": boards.shape[2]}
    feeds: dict[str, np.ndarray] = {"puzzle": boards, "episode_start": np.ones(len(boards), bool)}
    for each in session.get_inputs()[2:]:
        shape = [sizes.get(axis, axis) for axis in each.shape]
        feeds[each.name] = np.zeros(shape, np.int64 if "int64" in each.type else np.float32)
    names = [each.name for each in session.get_outputs()]
    after, answers = np.zeros(len(boards), int), np.zeros((len(boards), boards[0].size), np.int64)
    for segment in range(1, SEGMENTS + 1):
        out = dict(zip(names, session.run(None, feeds), strict=True))
        feeds |= {name.replace("next/", "state/"): value for name, value in out.items() if "/" in name}
        feeds["episode_start"] = np.zeros(len(boards), bool)
        ends = (after == 0) & ((out["lead"] > 0) | (segment == SEGMENTS))
        after[ends], answers[ends] = segment, out["logits"].argmax(-1).reshape(answers.shape)[ends]
        if after.all():
            break
    return answers, after


def by_torch(policy: Any, puzzles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same by torch, for puzzles (n, L)."""
    after, answers = np.zeros(len(puzzles), int), np.zeros(puzzles.shape, np.int64)
    for segment, thought in enumerate(think(policy, torch.from_numpy(puzzles), SEGMENTS), start=1):
        ends = (after == 0) & (thought.halt.numpy() | (segment == SEGMENTS))
        after[ends], answers[ends] = segment, thought.answer.numpy()[ends]
        if after.all():
            break
    return answers, after


def main() -> None:
    """Print one line an agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", nargs="*", default=shipped())
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--graphs", type=Path, default=Path("build/graphs"), help="where the graphs are written")
    asked = parser.parse_args()
    asked.graphs.mkdir(parents=True, exist_ok=True)
    for name in asked.agents:
        path = asked.graphs / f"{name}.onnx"
        if not path.exists():
            hrm_gym.export_onnx(f"pretrained:{name}", path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(path), options)
        policy, task = hrm_gym.load_agent(name, "pretrained", "cpu"), hrm_gym.make_task(name)
        policy.agent.dtype = torch.float32
        puzzles, solutions = (a[: asked.limit].astype(np.int64) for a in task.dataset("test")[:2])
        counts = np.zeros(4, int)
        for first in range(0, len(puzzles), BATCH):
            batch = puzzles[first : first + BATCH]
            ours, theirs = by_torch(policy, batch), by_onnx(session, batch.reshape(-1, *task.shape))
            same, ended = (ours[0] == theirs[0]).all(1), ours[1] < SEGMENTS
            right = task.valid(batch, solutions[first : first + BATCH], theirs[0])
            counts += [(ours[1] == theirs[1]).sum(), ended.sum(), (same & ended).sum(), np.asarray(right).sum()]
        segments, ended, same, right = counts
        print(
            f"{name}: {len(puzzles)} puzzles, the same segment {segments}; it halted early on {ended}, "
            f"the same answer {same} of them; right {right}",
            flush=True,
        )


if __name__ == "__main__":
    main()
