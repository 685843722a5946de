"""What the tests of batched environments share: exact comparison, and actions that end episodes every way."""

import numpy as np
import torch

ACTION_TYPES = ("board", "edit")
OBS_TYPES = ("dict", "flat")
N = 6
"""Slots of a batch."""


def equal(a, b, path="root"):
    """Equal in structure, types and numbers; tensors count as arrays and lose their precision."""
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        a, b = np.asarray(a), np.asarray(b)
        assert np.allclose(a, b), path
        return
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert a.keys() == b.keys(), f"{path}: {a.keys()} {b.keys()}"
        for key in a:
            equal(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, tuple | list) or (isinstance(a, np.ndarray) and a.dtype == object):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            equal(x, y, f"{path}[{i}]")
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape) and (a == b).all(), f"{path}: {a} {b}"
    else:
        assert a == b, path


def actions(envs, rng, solution):
    """Random actions, among them every way to end: right and wrong answers, halted on or not."""
    if envs.rules.options.action_type == "edit":
        tokens, n = envs.task.num_tokens, envs.single_action_space.n
        cells = rng.integers(envs.task.num_cells, size=len(solution))
        edit = cells * tokens + solution[np.arange(len(solution)), cells]
        return np.where(rng.random(len(solution)) < 0.2, n - 1, edit)
    right = rng.random(len(solution)) < 0.5
    answer = np.where(right[:, None], solution, rng.integers(envs.task.num_tokens, size=solution.shape))
    return np.append(answer, rng.random((len(solution), 1)) < 0.3, axis=1).astype(np.int64)


def solutions(envs):
    return np.asarray(envs.state_dict()["solution"])
