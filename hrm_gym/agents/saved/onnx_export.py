"""Export to ONNX: one segment of a policy as a graph, for programs without torch.

Inputs are the puzzle, the recurrent state and a flag for slots whose episode starts; outputs are the logits of the
answer, the halting rule's values and the next state. The caller loops over segments, as the environment does. The graph
takes any number of boards, and boards of any size if the agent does. All real numbers are float32.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.load import load_both, trained_env
from hrm_gym.agents.saved.sources import SHIPPED, find, named
from hrm_gym.agents.state import items, restore, select
from hrm_gym.agents.surroundings import undisturbed
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, extra, first_line
from hrm_gym.files import check_new, replacing

STATE, NEXT = "state/", "next/"
"""Prefixes of the inputs and outputs that carry the recurrent state."""

SEGMENT = "segment"
"""The tensor of the state that counts the segments of an episode."""


class Segment(nn.Module):
    """One segment of a policy, with a flat list of tensors as its state.

    Args:
        policy: in evaluation mode, with float32 activations.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        state = policy.initial_state(1)
        self.places = [name for name, _ in items(state)]
        spec = policy.agent.spec
        obs = {"puzzle": torch.full((1, spec.num_cells), spec.blank), "puzzle_id": torch.zeros(1, dtype=torch.long)}
        with torch.no_grad():
            self.signals = list(policy(state, obs)[2])

    def forward(
        self, puzzle: Tensor, episode_start: Tensor, state: Sequence[Tensor], puzzle_id: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Think for one segment.

        Args:
            puzzle: tokens, int64 (B, rows, columns).
            episode_start: slots that begin to think, bool (B,). Their `state` is ignored.
            state: the tensors of `initial` after the last segment.
            puzzle_id: int64 (B,), if the family has identities.

        Returns:
            Logits (B, rows, columns, V), the lead of halting (B,), the halting rule's signals (B,) each, and the next
            state.
        """
        agent, spec = self.policy.agent, self.policy.agent.spec
        if agent.resizable:
            agent.spec = dataclasses.replace(spec, rows=puzzle.shape[1], columns=puzzle.shape[2])
        try:
            fresh = self.policy.initial_state(puzzle.shape[0])
            count, thought = state[0], dict(zip(self.places, map(self._flat, state[1:]), strict=True))
            before = select(episode_start, fresh, restore(fresh, thought))
            count = torch.where(episode_start, 0, count) + 1
            obs = {"puzzle": puzzle.flatten(1)} | ({} if puzzle_id is None else {"puzzle_id": puzzle_id})
            after, output, signals = self.policy(before, obs)
            lead = self.policy.halting.lead(signals, count).float()
        finally:
            agent.spec = spec
        board = puzzle.shape[1:]
        logits = output.logits.float().unflatten(1, board)
        return logits, lead, *signals.values(), count, *(self._shaped(t, board) for _, t in items(after))

    def initial(self, num: int) -> list[Tensor]:
        """A state for `num` slots whose episodes start: zeros, in the order of the inputs."""
        with torch.no_grad():
            like = [self._shaped(t, self.policy.agent.spec.shape) for _, t in items(self.policy.initial_state(num))]
        return [torch.zeros(num, dtype=torch.long), *map(torch.zeros_like, like)]

    def _flat(self, tensor: Tensor) -> Tensor:
        return tensor.flatten(1, 2) if self.policy.agent.resizable else tensor

    def _shaped(self, tensor: Tensor, board: Sequence[int]) -> Tensor:
        """Cells by row and column, so that a graph for all sizes knows both."""
        return tensor.unflatten(1, tuple(board)) if self.policy.agent.resizable else tensor


def segment_of(policy: Policy) -> Segment:
    """A copy of the policy as a traceable module on the CPU in float32."""
    policy = copy.deepcopy(policy).cpu().float().eval().requires_grad_(False)
    policy.agent.dtype = torch.float32
    return Segment(policy)


@undisturbed()
def export_onnx(
    checkpoint: Any = "pretrained", path: str | Path = "agent.onnx", *, env: str = "", overwrite: bool = False
) -> Path:
    """Write one segment of an agent as an ONNX graph; `docs/onnx.md` describes inputs, outputs and metadata.

    Args:
        checkpoint: "pretrained", "pretrained:ID", a run or its folder, a file, or a policy.
        path: the file, FILE.onnx.
        env: the environment whose board the graph reads; empty: that of the training.
        overwrite: replace an existing file.

    Returns:
        The path.

    Raises:
        HrmGymError: if a package of the extra `onnx` is missing, the agent cannot be traced, `env` is needed, or the
            file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise HrmGymError(f"{str(path)!r}: the name of an ONNX file must end in .onnx")
    check_new(path, overwrite)
    for module in ("onnx", "onnxscript"):
        extra(module, "onnx", "exporting to ONNX")
    if not env:
        if isinstance(checkpoint, Policy) or checkpoint == "pretrained":
            raise HrmGymError("env is missing: give the id of the environment whose puzzles the agent solves")
        env = trained_env(checkpoint)
    policy, task = load_both(env, checkpoint, "cpu")
    facts = {"env": env, **_board(task), **_trained(policy, env, checkpoint)}
    with replacing(path) as temporary:
        temporary.write_bytes(onnx_model(policy, facts))
    return path


def onnx_model(policy: Policy, facts: dict[str, Any]) -> bytes:
    """The graph of a segment as an ONNX file.

    Args:
        policy: the policy.
        facts: the file's metadata; values that are not text are written as JSON.

    Raises:
        HrmGymError: if torch cannot trace the policy.
    """
    segment = segment_of(policy)
    spec = policy.agent.spec
    arguments: dict[str, Any] = {
        "puzzle": torch.full((2, *spec.shape), spec.blank),
        "episode_start": torch.ones(2, dtype=torch.bool),
        "state": segment.initial(2),
    }
    if spec.num_identities:
        arguments["puzzle_id"] = torch.zeros(2, dtype=torch.long)
    tensors = [SEGMENT, *segment.places]
    named = ["puzzle", "episode_start", *(STATE + name for name in tensors)]
    shapes = dynamic_shapes(segment, arguments)
    with quiet(), torch.no_grad():
        try:
            traced = traced_segment(segment, arguments)
            program = torch.onnx.export(
                traced,
                input_names=named + (["puzzle_id"] if spec.num_identities else []),
                output_names=["logits", "lead", *segment.signals, *(NEXT + name for name in tensors)],
                dynamic_shapes=shapes,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # tracing raises errors of many kinds
            raise HrmGymError(
                f"torch cannot trace the agent {policy.name!r} ({type(error).__name__}: {first_line(error)}): its "
                "segment must consist of torch operations, and no control flow may depend on the puzzle"
            ) from None
    assert program is not None  # only another exporter, which we do not ask for, returns nothing
    model = program.model
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with the paths of this computer
    facts |= {
        "library": "hrm-gym",
        "agent": policy.name,
        "any_size": policy.agent.resizable,
        "probabilities": policy.loss,  # how logits become probabilities: "softmax" or "stablemax"
        "signals": segment.signals,
        "halting_threshold": 0.0,  # a slot halts where its lead is above
    }
    model.metadata_props.update({k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()})
    return program.model_proto.SerializeToString()


def traced_segment(segment: Segment, arguments: dict[str, Any]) -> torch.export.ExportedProgram:
    """The segment by `torch.export`, for any number of boards, and for boards of any size if the agent takes them.

    What the tracer cannot prove about sizes is asserted when the program runs.
    """
    shapes = dynamic_shapes(segment, arguments)
    return torch.export.export(
        segment, (), arguments, dynamic_shapes=shapes, strict=False, prefer_deferred_runtime_asserts_over_guards=True
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what the exporter logs about itself."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def dynamic_shapes(segment: Segment, arguments: dict[str, Any]) -> dict[str, Any]:
    """Which axes of the arguments may vary: the batch, and rows and columns if the agent takes every board."""
    batch = torch.export.Dim("batch")
    board: dict[int, Any] = {}
    if segment.policy.agent.resizable:
        board = {1: torch.export.Dim("rows", min=3), 2: torch.export.Dim("columns", min=3)}
    shapes: dict[str, Any] = {name: {0: batch} for name in arguments}
    shapes["puzzle"] = {0: batch, **board}
    shapes["state"] = [{0: batch}, *({0: batch, **board} for _ in segment.places)]
    return shapes


def _board(task: Task) -> dict[str, Any]:
    return {
        "rows": task.shape[0],
        "columns": task.shape[1],
        "tokens": list(task.symbols),  # token t is written tokens[t]
        "blank": task.blank,
    }


def _trained(policy: Policy, env: str, checkpoint: Any) -> dict[str, Any]:
    if isinstance(checkpoint, Policy):
        if checkpoint.source is None:  # built by hand, so its training is unknown
            return {"halting": type(policy.halting).__name__}
        name = str(checkpoint.source)
    else:
        name = named(checkpoint)
    config = checkpoints.load(find(SHIPPED + env if name == "pretrained" else name)).config
    return {"halting": config.halting, "max_segments": config.max_segments}
