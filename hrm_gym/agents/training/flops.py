"""How much arithmetic thinking is: floating-point operations, and what share of a GPU's speed is put to use.

Counted are the operations of matrix products, attention and convolutions, two for each multiply-add, as
`torch.utils.flop_counter` does. Sums, norms and activations are left out; so are optimizer and averages.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_flop_count

from hrm_gym.agents.policy import Policy
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.trainer import Trainer

PEAK_SIZE = 8192  # rows and columns of the matrices that the peak is measured with
PEAK_REPEATS = 20


def _convolution_backward(grad: torch.Size, x: torch.Size, kernel: torch.Size, *others: Any, **options: Any) -> int:
    """Both gradients cost what the convolution does; torch counts the kernel's as if features were not apart."""
    return 2 * conv_flop_count(list(x), list(kernel), list(grad))


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *others: Any, **options: Any) -> int:
    """Scores and sums of a CPU's fused attention, which torch does not count."""
    return sdpa_flop_count(query, key, value)


def _attention_backward(grad: torch.Size, *qkv_and_more: Any, **options: Any) -> int:
    """The gradients of both products."""
    return 2 * sdpa_flop_count(*qkv_and_more[:3])


MAPPING: dict[Any, Any] = {
    torch.ops.aten.convolution_backward: _convolution_backward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


def segment_flops(policy: Policy, obs: Mapping[str, Tensor], backward: bool = False) -> int:
    """Operations of one segment for one puzzle, with its gradient where `backward`.

    Args:
        policy: on its device, compiled or not. Its gradients, its mode and the random numbers are left alone.
        obs: of one slot.
        backward: count those of the gradient, too.
    """
    was_training, gradients = policy.training, [p.grad for p in policy.parameters()]
    gpus = [policy.device] if policy.device.type == "cuda" else []
    counter = FlopCounterMode(display=False, custom_mapping=MAPPING)
    # The counter must see every operator, and torch never compiles code that it first met under a counter.
    eager = torch.compiler.set_stance("force_eager")
    with torch.random.fork_rng(gpus), eager, torch.set_grad_enabled(backward), counter:
        policy.eval().zero_grad()
        try:
            _, out, signals = policy(policy.initial_state(1), obs)
            if backward:
                total = out.logits.float().sum() + sum(signal.sum() for signal in signals.values())
                (total if out.aux_loss is None else total + out.aux_loss.sum()).backward()
        finally:
            policy.train(was_training)
            for parameter, gradient in zip(policy.parameters(), gradients, strict=True):
                parameter.grad = gradient
    return counter.get_total_flops()


def step_flops(policy: Policy, obs: Mapping[str, Tensor], num_envs: int) -> int:
    """Operations of a training step: a segment with its gradient in every slot, and what the halting rule thinks."""
    look_ahead = policy.halting.forward_passes() * segment_flops(policy, obs)
    return num_envs * (segment_flops(policy, obs, backward=True) + look_ahead)


def measured_peak(device: torch.device) -> float:
    """Operations a second of a large bfloat16 matrix product on a GPU, the best of a few; elsewhere 0, for unknown."""
    if device.type != "cuda":
        return 0.0
    a, b = torch.randn(2, PEAK_SIZE, PEAK_SIZE, device=device, dtype=torch.bfloat16)
    shortest = float("inf")
    for _ in range(PEAK_REPEATS):  # the first ones choose and load the kernel
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        a @ b
        torch.cuda.synchronize(device)
        shortest = min(shortest, time.perf_counter() - began)
    return 2 * PEAK_SIZE**3 / shortest


class Meter:
    """Turns steps and seconds of a run into arithmetic.

    Args:
        trainer: of the run.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._peak = measured_peak(trainer.device) * parallel.size()
        self._count()

    def figures(self, steps: int, seconds: float) -> dict[str, float]:
        """`tflops_per_second`, and on a GPU `share_of_peak`, in [0, 1]."""
        if self._counted != self._trainer.changes:
            self._count()
        rate = steps * self.flops / seconds
        return {"tflops_per_second": rate / 1e12} | ({"share_of_peak": rate / self._peak} if self._peak else {})

    def _count(self) -> None:
        trainer = self._trainer
        self._counted = trainer.changes
        first = {name: array[:1] for name, array in trainer.obs.items()}
        self.flops = step_flops(trainer.policy, first, trainer.config.num_envs)
        """Operations a training step."""
