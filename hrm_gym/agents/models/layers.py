"""Building blocks shared by every architecture: post-norm transformer blocks without biases.

Weights are float32 and cast to the type of the activations at each call, so a forward pass can run in bfloat16 while
optimizer and weight averages keep full precision. Tensors are (B, S, D): batch, positions, features.

Source: HRM (arXiv 2506.21734), section "Architecture", and its reference implementation; the mixing of
positions by an MLP is that of TRM (arXiv 2510.04871).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

NORM_EPSILON = 1e-5
# The standard deviation of a standard normal distribution truncated at two. Dividing by it gives the truncated
# distribution the requested deviation (LeCun initialisation as JAX defines it).
TRUNCATED_STD = 0.87962566103423978


@dataclasses.dataclass(frozen=True)
class Blocks(Options):
    """Sizes and kinds of the blocks of `hrm`, `trm` and `direct`."""

    hidden_size: int = number(128, least=1)
    """Features per position, D."""
    num_heads: int = number(4, least=1)
    """Number of attention heads (only with `mixer` attention)."""
    expansion: float = number(4.0, above=0)
    """Inner width of a SwiGLU relative to its size, before the factor 2/3 for the gate."""
    mlp_multiple: int = number(32, least=1)
    """Round the inner width up to a multiple of this (HRM's reference implementation: 256)."""
    mixer: Literal["attention", "tokens", "convolution"] = "tokens"
    """How positions exchange information. `attention`: self-attention. `tokens`: an MLP over the position axis.
    `convolution`: a gated 3x3 convolution over the board."""
    positions: Literal["rope", "rope2d", "learned", "none"] = "none"
    """Position encoding. `rope`: rotary, over the cells in order. `rope2d`: rotary, over rows and columns. `learned`:
    learned vectors. `none`: no encoding (token mixing and convolution distinguish positions without one)."""
    prefix_tokens: int = number(1, least=0)
    """Positions before the board, for the puzzle embedding. The halting rule reads the first position."""
    learned_prefix: bool = False
    """Put learned vectors in the positions before the board if the family has no puzzle embeddings."""
    normed_swiglu: bool = False
    """Normalise the inner activation of a SwiGLU: sigmoid(gate) * RMSNorm(gate * up) (meant for `muon`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple = 4 if self.positions == "rope2d" else 2
        if self.mixer == "attention" and self.hidden_size % (multiple * self.num_heads):
            raise HrmGymError(
                f"hidden_size {self.hidden_size} does not split into {self.num_heads} heads whose size is a multiple "
                f"of {multiple}: with positions {self.positions!r} give a multiple of {multiple * self.num_heads}"
            )


def truncated_normal_(tensor: Tensor, std: float) -> Tensor:
    """Fill `tensor` from a normal distribution truncated at two deviations, with standard deviation `std`."""
    std = std / TRUNCATED_STD
    return nn.init.trunc_normal_(tensor, std=std, a=-2 * std, b=2 * std)


def rms_norm(x: Tensor, dim: int = -1) -> Tensor:
    """Root-mean-square normalisation along `dim`, without parameters, computed in float32."""
    x32 = x.float()
    return (x32 * torch.rsqrt(x32.square().mean(dim, keepdim=True) + NORM_EPSILON)).to(x.dtype)


def swiglu_width(size: int, expansion: float, multiple: int) -> int:
    """The inner width of a SwiGLU: two thirds of `expansion * size`, rounded up to a `multiple`."""
    return -(-round(expansion * size * 2 / 3) // multiple) * multiple


class Linear(nn.Module):
    """A linear map without bias: a float32 weight (out, in), applied in the type of its input."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(truncated_normal_(torch.empty(out_features, in_features), in_features**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(x, self.weight.to(x.dtype))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) over the last axis, with gate and up in one matrix.

    Args:
        size: features in and out.
        expansion: see `swiglu_width`.
        multiple: see `swiglu_width`.
        normed: use down(sigmoid(gate) * rms_norm(gate * up)) instead. The input of `down` then keeps its scale when
            weights grow, as they do under Muon (recipe of "Speed is Confidence", arXiv 2601.19085).
    """

    def __init__(self, size: int, expansion: float, multiple: int, normed: bool = False):
        super().__init__()
        self.normed = normed
        width = swiglu_width(size, expansion, multiple)
        self.gate_up = Linear(size, 2 * width)
        self.down = Linear(width, size)

    def forward(self, x: Tensor) -> Tensor:
        """(..., size) -> (..., size)."""
        # Split the weight, not the product: concatenating its gradient is cheaper.
        gate, up = self.gate_up.weight.to(x.dtype).chunk(2)
        return self.down(self.inner(F.linear(x, gate), F.linear(x, up), dim=-1))

    def inner(self, gate: Tensor, up: Tensor, dim: int) -> Tensor:
        """The gated activation, shaped like `gate` and `up`, with features along `dim`."""
        return torch.sigmoid(gate) * rms_norm(gate * up, dim) if self.normed else F.silu(gate) * up


class TokenMixing(SwiGLU):
    """A SwiGLU over the position axis: it transforms the positions of each feature as one vector."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        # Batched products from the left avoid transposes in memory and give contiguous results
        # (a broadcast matmul returns transposed strides, which made the next products fifteen times slower).
        batch = x.shape[0]
        gate, up = self.gate_up.weight.to(x.dtype).chunk(2)  # (width, S) each
        down = self.down.weight.to(x.dtype)  # (S, width)
        hidden = torch.bmm(gate.expand(batch, -1, -1), x), torch.bmm(up.expand(batch, -1, -1), x)
        return torch.bmm(down.expand(batch, -1, -1), self.inner(*hidden, dim=1))


class GatedConvolution(nn.Module):
    """A 3x3 convolution of each feature over the board, gated: for puzzles whose rules are local, such as mazes.

    out(silu(gate(x)) * mixed(value(x))). Prefix positions receive the mean over the board and the board receives
    theirs, so that Q values depend on all cells and a puzzle embedding reaches them.
    """

    def __init__(self, size: int, shape: tuple[int, int], prefix: int):
        super().__init__()
        self.shape, self.prefix = shape, prefix
        self.gate_value = Linear(size, 2 * size)
        self.kernel = nn.Parameter(truncated_normal_(torch.empty(size, 1, 3, 3), 1 / 3))  # nine terms per sum
        self.out = Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        gate, value = self.gate_value(x).chunk(2, dim=-1)
        before, board = value[:, : self.prefix], value[:, self.prefix :]
        mixed = board.unflatten(1, self.shape).permute(0, 3, 1, 2)  # (B, D, rows, columns), channels last in memory
        mixed = F.conv2d(mixed, self.kernel.to(x.dtype), padding=1, groups=mixed.shape[1])
        mixed = mixed.permute(0, 2, 3, 1).flatten(1, 2)  # (B, L, D)
        if self.prefix:
            mixed = torch.cat((before + board.mean(1, keepdim=True), mixed + before.mean(1, keepdim=True)), dim=1)
        return self.out(F.silu(gate) * mixed)


class Rotary(nn.Module):
    """Rotary position embedding (RoPE, arXiv 2104.09864) for heads of `head_size` features.

    Args:
        places: the coordinates of each position, (S, axes). With two axes, half of a head's frequencies rotate with
            the row and half with the column.
        head_size: features of a head, a multiple of twice the number of axes.
        theta: base of the frequencies.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, places: Tensor, head_size: int, theta: float = 10_000.0):
        super().__init__()
        width = head_size // places.shape[1]  # features per axis
        frequencies = theta ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)
        angles = torch.cat([torch.outer(axis.float(), frequencies) for axis in places.T], dim=-1)  # (S, head/2)
        angles = torch.cat((angles, angles), dim=-1)  # (S, head)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate queries or keys, (B, heads, S, head_size)."""
        return rotate(x, self.cos, self.sin)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs of features, (..., size): each of the first half with its partner in the second half.

    Args:
        x: the features.
        cos: cosines of the angles, broadcast to the features.
        sin: their sines.
    """
    first, second = x.float().chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


class Attention(nn.Module):
    """Multi-head self-attention without mask or bias."""

    def __init__(self, size: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(size, 3 * size)
        self.out = Linear(size, size)

    def forward(self, x: Tensor, rotary: Rotary | None) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        batch, positions, size = x.shape
        qkv = self.qkv(x).view(batch, positions, 3, self.num_heads, size // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, S, head_size)
        if rotary is not None:
            query, key = rotary(query), rotary(key)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, positions, size))


class Mixing(nn.Module):
    """Positions exchange information, and the sum is normalised (post-norm).

    `mixer="attention"` mixes by content. `"tokens"` is a SwiGLU over the position axis: a fixed board needs no
    content-based routing, and small boards are learned far faster. `"convolution"` mixes neighbours.
    """

    def __init__(self, config: Blocks, shape: tuple[int, int]):
        super().__init__()
        c, size = config, config.hidden_size
        positions = c.prefix_tokens + shape[0] * shape[1]
        self.attention = Attention(size, c.num_heads) if c.mixer == "attention" else None
        swiglu = c.expansion, c.mlp_multiple, c.normed_swiglu
        self.token_mixing = TokenMixing(positions, *swiglu) if c.mixer == "tokens" else None
        self.convolution = GatedConvolution(size, shape, c.prefix_tokens) if c.mixer == "convolution" else None

    def forward(self, x: Tensor, rotary: Rotary | None) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        if self.token_mixing is not None:
            return rms_norm(x + self.token_mixing(x), dim=1)  # normalise over positions, as in TRM
        if self.attention is not None:
            return rms_norm(x + self.attention(x, rotary))
        if self.convolution is not None:
            return rms_norm(x + self.convolution(x))
        return x


class Block(Mixing):
    """One layer: mix positions, then transform each of them; normalise after each sum."""

    def __init__(self, config: Blocks, shape: tuple[int, int]):
        super().__init__(config, shape)
        self.mlp = SwiGLU(config.hidden_size, config.expansion, config.mlp_multiple, config.normed_swiglu)

    def forward(self, x: Tensor, rotary: Rotary | None) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        x = super().forward(x, rotary)
        return rms_norm(x + self.mlp(x))


class Module(nn.Module):
    """A recurrent module: a stack of blocks applied to its state plus the injected input."""

    def __init__(self, config: Blocks, num_layers: int, shape: tuple[int, int]):
        super().__init__()
        self.layers = nn.ModuleList(Block(config, shape) for _ in range(num_layers))

    def forward(self, state: Tensor, injected: Tensor, rotary: Rotary | None) -> Tensor:
        """The next state, (B, S, D), from state and injected input, both (B, S, D)."""
        x = state + injected
        for layer in self.layers:
            x = layer(x, rotary)
        return x
