"""How much arithmetic thinking is: floating-point operations, and what share of a GPU's speed is put to use.

Counted are the operations of matrix products, attention and convolutions, two for each multiply-add, as
`torch.utils.flop_counter` does. Sums, norms and activations are left out; so are optimizer and averages.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from hrm_gym.agents.models.reasoner import Reasoner
from hrm_gym.agents.training import parallel

PEAK_SIZE = 8192  # rows and columns of the matrices that the peak is measured with
PEAK_REPEATS = 20


def _convolution_backward(grad: torch.Size, x: torch.Size, kernel: torch.Size, *others: Any, **options: Any) -> int:
    """Both gradients cost what the convolution does; torch counts the kernel's as if features were not apart."""
    return 2 * conv_flop_count(list(x), list(kernel), list(grad))


MAPPING: dict[Any, Any] = {torch.ops.aten.convolution_backward: _convolution_backward}


def segment_flops(agent: Reasoner, backward: bool = False) -> int:
    """Operations of one segment for one puzzle, with its gradient where `backward`.

    A model of the same configuration runs on the meta device, where there are shapes but no numbers.
    """
    with torch.device("meta"):
        model = type(agent)(agent.config, agent.num_tokens, agent.shape)
        obs = {"puzzle": torch.zeros(1, agent.num_cells, dtype=torch.long)}
        with FlopCounterMode(display=False, custom_mapping=MAPPING) as counter, torch.set_grad_enabled(backward):
            _, out = model(model.initial_carry(1), obs)
            if backward:
                (out.logits.float().sum() + out.q_halt.sum() + out.q_continue.sum()).backward()
    return counter.get_total_flops()


def step_flops(agent: Reasoner) -> int:
    """Operations of one training step: a segment with its gradient in every slot, and what the halting target adds."""
    c = agent.config
    operations = segment_flops(agent, backward=True)
    if c.halting == "q_learning" and c.halt_target == "extra_pass":
        operations += segment_flops(agent)
    return c.num_envs * operations


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
        agent: that learns.
        device: that it learns on.
    """

    def __init__(self, agent: Reasoner, device: torch.device) -> None:
        self.flops = step_flops(agent)
        """Operations a training step."""
        self._peak = measured_peak(device) * parallel.size()

    def figures(self, steps: int, seconds: float) -> dict[str, float]:
        """`tflops_per_second`, and on a GPU `share_of_peak`, in [0, 1]."""
        rate = steps * self.flops / seconds
        return {"tflops_per_second": rate / 1e12} | ({"share_of_peak": rate / self._peak} if self._peak else {})
