"""Floating-point operations of a segment and of a training step, and the share of a GPU's peak that a run reaches.

Like `torch.utils.flop_counter`, this counts matrix products, attention and convolutions, two operations for each
multiply-add. It leaves out sums, norms, activations, the optimizer and the averaging of weights.
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

PEAK_SIZE = 8192  # rows and columns of the matrices for measuring the peak
PEAK_REPEATS = 20


def _convolution_backward(grad: torch.Size, x: torch.Size, kernel: torch.Size, *others: Any, **options: Any) -> int:
    """Each of the two gradients costs as much as the convolution; torch ignores groups in the kernel's gradient."""
    return 2 * conv_flop_count(list(x), list(kernel), list(grad))


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *others: Any, **options: Any) -> int:
    """Both products of fused attention on a CPU, which torch does not count."""
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
    """Operations of one segment for one puzzle.

    Args:
        policy: on its device, compiled or not. Its gradients, its mode and the random state do not change.
        obs: the observations of one slot.
        backward: also count the gradient. The segment is that of training then, if the policy is in training.
    """
    was_training, gradients = policy.training, [p.grad for p in policy.parameters()]
    buffers = [buffer.clone() for buffer in policy.buffers()]  # in training an agent may count its steps
    gpus = [policy.device] if policy.device.type == "cuda" else []
    counter = FlopCounterMode(display=False, custom_mapping=MAPPING)
    # The counter must see every operator. Torch would never compile code that first ran under a counter.
    eager = torch.compiler.set_stance("force_eager")
    with torch.random.fork_rng(gpus), eager, torch.set_grad_enabled(backward), counter:
        policy.train(backward and was_training).zero_grad()  # in training an agent may compute something else
        try:
            _, out, signals = policy(policy.initial_state(1), obs)
            if backward:
                total = out.logits.float().sum() + sum(signal.sum() for signal in signals.values())
                (total if out.aux_loss is None else total + out.aux_loss.sum()).backward()
        finally:
            policy.train(was_training)
            for parameter, gradient in zip(policy.parameters(), gradients, strict=True):
                parameter.grad = gradient
            with torch.no_grad():
                for buffer, before in zip(policy.buffers(), buffers, strict=True):
                    buffer.copy_(before)
    return counter.get_total_flops()


def step_flops(policy: Policy, obs: Mapping[str, Tensor], num_envs: int) -> int:
    """Operations of a training step: a segment with its gradient in every slot, and the halting rule's look-ahead."""
    look_ahead = policy.halting.forward_passes() * segment_flops(policy, obs)
    return num_envs * (segment_flops(policy, obs, backward=True) + look_ahead)


def measured_peak(device: torch.device) -> float:
    """Operations per second of a large bfloat16 matrix product on a GPU, the best of several; 0 (unknown) elsewhere."""
    if device.type != "cuda":
        return 0.0
    a, b = torch.randn(2, PEAK_SIZE, PEAK_SIZE, device=device, dtype=torch.bfloat16)
    shortest = float("inf")
    for _ in range(PEAK_REPEATS):  # the first repeats choose and load the kernel
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        a @ b
        torch.cuda.synchronize(device)
        shortest = min(shortest, time.perf_counter() - began)
    return 2 * PEAK_SIZE**3 / shortest


class Meter:
    """Turns steps and seconds of a run into operations per second.

    Args:
        trainer: the run's.
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
        """Operations per training step."""
