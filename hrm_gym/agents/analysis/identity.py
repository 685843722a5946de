"""What does the agent lose without its task's embedding? It is exchanged, zeroed or replaced by a random one.

In families whose puzzles belong to tasks (ARC), an agent learns a vector per identity and reads it in every segment.
The network is unchanged: only the vectors that it reads are, for whole episodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent
from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import Unsuited
from hrm_gym.agents.analysis.style import BLUE, percent, tidy
from hrm_gym.agents.analysis.subject import Subject, think_through
from hrm_gym.shares import bars, share_of, words

EMBEDDINGS = {
    "right": "of the puzzle's task",
    "exchanged": "of another task",
    "zeroed": "zeros, as before training",
    "random": "random, of the same length",
}


def table_of(agent: Agent) -> nn.Embedding:
    """The agent's embedding of identities: a sparse `nn.Embedding` with a row for each.

    Raises:
        Unsuited: if the family has no identities, or the agent no such embedding.
    """
    num = agent.spec.num_identities
    if not num:
        raise Unsuited("puzzles of this family have no task identity, so the agent has no embedding to take away")
    for module in agent.modules():
        if isinstance(module, nn.Embedding) and module.sparse and module.num_embeddings == num:
            return module
    raise Unsuited(f"the agent has no embedding of task identities: a sparse nn.Embedding with {num} rows")


def embeddings(table: nn.Embedding, identities: Tensor, variants: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """The vectors to read for each identity under every entry of `EMBEDDINGS`, float32 (n, D).

    Args:
        table: the embedding.
        identities: different ones, int64 (n,), sorted.
        variants: number of forms of each task (`Task.num_variants`).
        rng: draws the random vectors.

    Raises:
        Unsuited: if all identities belong to one task.
    """
    tasks, of = (identities // variants).unique(return_inverse=True)
    if len(tasks) < 2:
        raise Unsuited("the puzzles belong to one task, so there is no other task whose embedding to give")
    right = table(identities)
    # The next task's first identity among these puzzles.
    first = torch.searchsorted(of, (torch.arange(len(tasks), device=of.device) + 1) % len(tasks))
    noise = torch.as_tensor(rng.standard_normal(right.shape), dtype=right.dtype, device=right.device)
    length = right.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True)
    return {
        "right": right,
        "exchanged": right[first[of]],
        "zeroed": torch.zeros_like(right),
        "random": noise * length,
    }


@contextmanager
def reading(table: nn.Embedding, identities: Tensor, vectors: Tensor) -> Iterator[None]:
    """Let the agent read these `vectors` (n, D) for the sorted `identities` (n,)."""
    hook = table.register_forward_hook(lambda _, asked, __: vectors[torch.searchsorted(identities, asked[0])])
    try:
        yield
    finally:
        hook.remove()


@torch.inference_mode()
def measure(subject: Subject) -> dict[str, Any]:
    """Accuracy at the training length of an episode with each embedding."""
    policy, task, segments = subject.policy, subject.task, subject.trained_segments
    table = table_of(policy.agent)
    identities = torch.as_tensor(np.unique(np.asarray(subject.puzzles.identity))).to(policy.device)
    rows = []
    for name, vectors in embeddings(table, identities, task.num_variants, subject.rng()).items():
        with reading(table, identities, vectors):
            right = think_through(policy, task, subject.puzzles, segments).right[:, -1]
        rows.append({"embedding": name, "right": share_of(right)})
    return {"segments": segments, "tasks": len((identities // task.num_variants).unique()), "rows": rows}


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    own = {row["embedding"]: row["right"] for row in figures["rows"]}
    text = (
        f"{words(own['right'])} of {own['right']['puzzles']} puzzles of {figures['tasks']} tasks are right after "
        f"{figures['segments']} segments. With another task's embedding {words(own['exchanged'])} are, with zeros "
        f"{words(own['zeroed'])}, and with a random vector of the same length {words(own['random'])}."
    )
    whole = own["right"]["share"]
    if whole:
        best = max(own[name]["share"] for name in EMBEDDINGS if name != "right")
        if best < 0.5 * whole:
            text += " The agent knows the task by its embedding."
        elif best >= 0.9 * whole:
            text += " At least one of these changes costs nearly nothing: there the puzzle alone says what to do."
    return text


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """Bars of the accuracy with each embedding."""
    axes = figure.subplots()
    middle, below, above = np.array([bars(row["right"]) for row in figures["rows"]]).T
    axes.bar(range(len(middle)), middle, 0.6, yerr=(below, above), capsize=3, color=BLUE)
    names = [row["embedding"] for row in figures["rows"]]
    axes.set_xticks(range(len(names)), [f"{name}\n{EMBEDDINGS[name]}" for name in names], fontsize=8)
    percent(axes)
    tidy(axes, "", f"right after {figures['segments']} segments")
    axes.grid(axis="x", visible=False)


ANALYSIS = Analysis("identity", measure, describe, draw)
