"""Per-node operations of `planes`, fused into one loop for each pass.

Sequences of small tensor operations are dominated by overhead, and a task has only seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.models.layers import NORM_EPSILON
from hrm_gym.agents.models.planes_mixing import WIDTH, blocks_of
from hrm_gym.envs.jit import njit

_EPSILON, _ONE = np.float32(NORM_EPSILON), np.float32(1)


class GatedNorm(torch.autograd.Function):
    """norm(x + silu(gate) * y) of nodes, each (N, D), float32: root-mean-square norm, as `layers.rms_norm`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, y: Tensor) -> Tensor:
        """See the class."""
        sigmoid = torch.sigmoid(gate)
        state, gates, sigmoids, values = (blocks_of(part) for part in (x, gate, sigmoid, y))
        out, scale = np.empty_like(state), np.empty(len(x), np.float32)
        _gated_norm(state, gates, sigmoids, values, out, scale)
        ctx.saved = gates, sigmoids, values, out, scale
        return _tensor(out, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Gradients of the three inputs."""
        gates, sigmoids, values, out, scale = ctx.saved
        of_x, of_gate, of_y = (np.empty_like(out) for _ in range(3))
        _gated_norm_back(blocks_of(gradient), gates, sigmoids, values, out, scale, of_x, of_gate, of_y)
        return tuple(_tensor(part, gradient) for part in (of_x, of_gate, of_y))


class SumNorm(torch.autograd.Function):
    """norm(x + y) of nodes, both (N, D), float32: root-mean-square norm, as `layers.rms_norm`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        """See the class."""
        state, values = (blocks_of(part) for part in (x, y))
        out, scale = np.empty_like(state), np.empty(len(x), np.float32)
        _sum_norm(state, values, out, scale)
        ctx.saved = out, scale
        return _tensor(out, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The gradient, the same for both inputs."""
        out, scale = ctx.saved
        result = np.empty_like(out)
        _sum_norm_back(blocks_of(gradient), out, scale, result)
        tensor = _tensor(result, gradient)
        return tensor, tensor


class GatedProduct(torch.autograd.Function):
    """silu(gate) * up of nodes, from both concatenated, (N, 2 M): (N, M), float32."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        """See the class."""
        inner = both.shape[1] // 2
        array = both.detach().cpu().numpy()
        sigmoid = torch.sigmoid(both[:, :inner].contiguous()).cpu().numpy()
        out = np.empty((len(both), inner), np.float32)
        _gated_product(array, sigmoid, out)
        ctx.saved = array, sigmoid
        return torch.from_numpy(out).to(both.device)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        """The gradient of the concatenated input."""
        array, sigmoid = ctx.saved
        result = np.empty_like(array)
        _gated_product_back(np.ascontiguousarray(gradient.cpu().numpy()), array, sigmoid, result)
        return torch.from_numpy(result).to(gradient.device)


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(array.reshape(len(array), -1)).to(like.device)


@njit(cache=True, fastmath=True)
def _gated_norm(
    x: np.ndarray, gate: np.ndarray, sigmoid: np.ndarray, y: np.ndarray, out: np.ndarray, scale: np.ndarray
) -> None:
    num, blocks = x.shape[0], x.shape[1]
    for n in range(num):
        total = np.float32(0)
        for b in range(blocks):
            for k in range(WIDTH):
                value = x[n, b, k] + gate[n, b, k] * sigmoid[n, b, k] * y[n, b, k]
                out[n, b, k] = value
                total += value * value
        scale[n] = _ONE / np.sqrt(total / np.float32(blocks * WIDTH) + _EPSILON)
        for b in range(blocks):
            for k in range(WIDTH):
                out[n, b, k] *= scale[n]


@njit(cache=True, fastmath=True)
def _gated_norm_back(
    g: np.ndarray,
    gate: np.ndarray,
    sigmoid: np.ndarray,
    y: np.ndarray,
    out: np.ndarray,
    scale: np.ndarray,
    gx: np.ndarray,
    g_gate: np.ndarray,
    gy: np.ndarray,
) -> None:
    num, blocks = g.shape[0], g.shape[1]
    for n in range(num):
        along = np.float32(0)
        for b in range(blocks):
            for k in range(WIDTH):
                along += g[n, b, k] * out[n, b, k]
        along /= np.float32(blocks * WIDTH)
        for b in range(blocks):
            for k in range(WIDTH):
                value = scale[n] * (g[n, b, k] - out[n, b, k] * along)
                s, u = sigmoid[n, b, k], gate[n, b, k]
                gx[n, b, k] = value
                gy[n, b, k] = value * u * s
                g_gate[n, b, k] = value * y[n, b, k] * s * (_ONE + u * (_ONE - s))


@njit(cache=True, fastmath=True)
def _sum_norm(x: np.ndarray, y: np.ndarray, out: np.ndarray, scale: np.ndarray) -> None:
    num, blocks = x.shape[0], x.shape[1]
    for n in range(num):
        total = np.float32(0)
        for b in range(blocks):
            for k in range(WIDTH):
                value = x[n, b, k] + y[n, b, k]
                out[n, b, k] = value
                total += value * value
        scale[n] = _ONE / np.sqrt(total / np.float32(blocks * WIDTH) + _EPSILON)
        for b in range(blocks):
            for k in range(WIDTH):
                out[n, b, k] *= scale[n]


@njit(cache=True, fastmath=True)
def _sum_norm_back(g: np.ndarray, out: np.ndarray, scale: np.ndarray, result: np.ndarray) -> None:
    num, blocks = g.shape[0], g.shape[1]
    for n in range(num):
        along = np.float32(0)
        for b in range(blocks):
            for k in range(WIDTH):
                along += g[n, b, k] * out[n, b, k]
        along /= np.float32(blocks * WIDTH)
        for b in range(blocks):
            for k in range(WIDTH):
                result[n, b, k] = scale[n] * (g[n, b, k] - out[n, b, k] * along)


@njit(cache=True, fastmath=True)
def _gated_product(both: np.ndarray, sigmoid: np.ndarray, out: np.ndarray) -> None:
    num, inner = out.shape
    for n in range(num):
        gates, ups = both[n, :inner], both[n, inner:]
        for k in range(inner):
            out[n, k] = gates[k] * sigmoid[n, k] * ups[k]


@njit(cache=True, fastmath=True)
def _gated_product_back(g: np.ndarray, both: np.ndarray, sigmoid: np.ndarray, result: np.ndarray) -> None:
    num, inner = g.shape
    for n in range(num):
        gates, ups = both[n, :inner], both[n, inner:]
        g_gates, g_ups = result[n, :inner], result[n, inner:]
        for k in range(inner):
            s, u = sigmoid[n, k], gates[k]
            g_ups[k] = g[n, k] * u * s
            g_gates[k] = g[n, k] * ups[k] * s * (_ONE + u * (_ONE - s))
