"""What a program has set globally in torch, NumPy and Python: our work neither depends on it nor changes it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Compute as in a fresh process, and leave the global random numbers of torch, NumPy and Python where they are.

    Inside, floats are of 32 bits, tensors are made on the CPU, gradients are recorded, nothing is cast, and NumPy warns
    and does not raise. Also a decorator of functions.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (they are the program's)
    dtype, place = torch.get_default_dtype(), torch.get_default_device()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if place.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
