"""A spiking working memory (after Spaun, Eliasmith et al., Science 2012): neurons store (cell, symbol) pairs.

Idea: each cell and each symbol has a vector, and a pair is the circular convolution of both (a *semantic pointer*). The
working memory is one vector, the sum of all pairs shown so far. Populations of leaky integrate-and-fire neurons hold
it by recurrent feedback, one population per feature. The symbol of a cell is read by comparing the memory with the
cell's possible pairs. Actions compete: each has a population driven by its utility, and the one that fires most wins.

    memory = memory + cell * symbol          each given of the puzzle is shown for `show` milliseconds
    symbol of a cell = argmax of memory . (cell * symbol)
    utility(write s into c) = 1 if s has no other place in a group, else the share of other symbols excluded from c

The first segment shows the puzzle; each further segment performs one action. This solves Sudokus that need no guess, as
long as memory is reliable. The rule is hand-written for families with `groups`; on others the agent only recalls.

Carried: voltages and refractory times of all neurons, (B, D, N), the filtered feedback, (B, D), and segments, (B,).

Faithful: neurons, encoders and decoders of the Neural Engineering Framework, computed by `nengo`; memory as a recurrent
connection with a time constant of 0.1 s; bound pairs; noise and forgetting come only from spikes. Adapted: `nengo`
simulates one network at a time, so torch steps its populations for all slots together; all features share the tuning of
one population; binding is exact instead of neural; a race of populations replaces the model of the basal ganglia; there
is no eye and no arm. Only halting and the scale and biases of the answer are learned.

Known failures: the memory is a sum, so its items interfere more as it grows, and the agent acts on wrongly recalled
digits. It learns almost nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.lineage.adjacency import sharing
from hrm_gym.errors import HrmGymError, extra
from hrm_gym.options import Options, number

DT, TAU_RC, TAU_REF = 0.001, 0.02, 0.002
"""Time step, membrane time constant and refractory period, in seconds."""
TAU_MEMORY = 0.1
"""Time constant of the recurrent synapse, in seconds."""
MOST_CELLS = 100


@dataclasses.dataclass(frozen=True)
class SpaunConfig(Options):
    """Options of `spaun`."""

    dimensions: int = number(256, least=2, most=4096)
    """Features of a semantic pointer, D."""
    neurons: int = number(30, least=2, most=1000)
    """Neurons per feature, N."""
    show: int = number(20, least=1, most=256)
    """Time for which a pair is shown, in milliseconds."""
    race: int = number(50, least=1, most=256)
    """Duration of the race between actions, in milliseconds; the action with the most spikes wins."""
    least_utility: float = number(0.8, least=0)
    """Minimum utility of an action; below it nothing is done."""


class Spiking(NamedTuple):
    """The state between segments."""

    voltage: Tensor
    """Voltages of the memory's neurons, (B, D, N)."""
    refractory: Tensor
    """Seconds until each neuron may fire again, (B, D, N)."""
    memory: Tensor
    """The filtered feedback, (B, D)."""
    segments: Tensor
    """Segments so far, int64 (B,)."""


@functools.cache
def tuning(neurons: int, radius: float) -> tuple[np.ndarray, ...]:
    """Signed gains, biases and decoders, (N,) each, of neurons that represent a number from -radius to radius."""
    nengo = extra("nengo", "spaun", "agent 'spaun'")
    with nengo.Network(seed=0) as network:
        ensemble = nengo.Ensemble(neurons, 1, radius=radius, neuron_type=nengo.LIF(TAU_RC, TAU_REF))
        connection = nengo.Connection(ensemble, nengo.Node(size_in=1))
    # All processes share nengo's own cache, and each waits ten seconds for the others.
    model = nengo.builder.Model(dt=DT, decoder_cache=nengo.cache.NoDecoderCache())
    with nengo.Simulator(network, dt=DT, model=model, progress_bar=False) as simulator:
        built, weights = simulator.data[ensemble], simulator.data[connection].weights
    return tuple(np.asarray(array, np.float32) for array in (built.scaled_encoders[:, 0], built.bias, weights[0]))


class Population(nn.Module):
    """Leaky integrate-and-fire neurons that represent a number, with nengo's tuning and decoders.

    Args:
        neurons: N, the number of neurons.
        radius: they represent numbers from -radius to radius.
    """

    drive: Tensor
    bias: Tensor
    decoders: Tensor

    def __init__(self, neurons: int, radius: float) -> None:
        super().__init__()
        for name, array in zip(("drive", "bias", "decoders"), tuning(neurons, radius), strict=True):
            self.register_buffer(name, torch.tensor(array))

    def forward(self, voltage: Tensor, refractory: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A step of DT with input x, (...): voltages and refractory times, (..., N), and spikes, 1 / DT or 0."""
        current = self.drive * x.unsqueeze(-1) + self.bias
        integrates = (DT - refractory).clamp(0, DT)  # time left in this step after the refractory period
        voltage = current + (voltage - current) * torch.exp(-integrates / TAU_RC)
        fired = voltage > 1
        # The time within the step since it crossed the threshold, when the refractory period began.
        since = -TAU_RC * torch.log1p(-(voltage - 1) / (current - 1).clamp_min(1e-6)).clamp(-DT / TAU_RC, 0)
        refractory = torch.where(fired, TAU_REF - since + DT, refractory) - DT
        return torch.where(fired, 0.0, voltage.clamp_min(0)), refractory, fired / DT


class Spaun(Agent):
    """A spiking working memory of bound pairs and a race of actions, with nengo (after Spaun, Science 2012).

    Raises:
        HrmGymError: if nengo is missing, or the board has more cells than the memory can hold.
    """

    Config = SpaunConfig
    run_defaults = {"loss": "softmax", "lr": 3e-2, "weight_decay": 0.0, "num_envs": 8, "augment": False}  # noqa: RUF012

    pairs: Tensor
    mates: Tensor

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        if spec.num_cells > MOST_CELLS:
            raise HrmGymError(
                f"agent 'spaun' shows a board cell by cell, and this one has {spec.num_cells} cells, more than its "
                f"memory could hold: choose a puzzle of at most {MOST_CELLS} cells"
            )
        size = config.dimensions
        self.num_features = 3
        # Each feature of a sum of k pairs has a standard deviation of sqrt(k / D).
        self.population = Population(config.neurons, min(1.0, 3 * math.sqrt(spec.num_cells / size)))
        self.racers = Population(config.neurons, 1.0)
        rng = np.random.default_rng(0)
        cells, symbols = pointers(rng, spec.num_cells, size), pointers(rng, spec.num_tokens, size)
        pairs = np.fft.irfft(np.fft.rfft(cells)[:, None] * np.fft.rfft(symbols)[None], n=size)
        self.register_buffer("pairs", torch.tensor(pairs.astype(np.float32)))  # (L, V, D)
        mates = sharing(spec) if spec.groups else np.zeros((spec.num_cells, spec.num_cells), bool)
        self.groups = [torch.as_tensor(partition).long() for partition in spec.groups]
        self.register_buffer("mates", torch.tensor(mates.astype(np.float32)), persistent=False)  # (L, L)
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.prior = nn.Parameter(torch.zeros(spec.num_tokens))

    def initial_state(self, num: int) -> Spiking:
        """See `Agent`: silent neurons."""
        neurons = self.pairs.new_zeros(num, self.config.dimensions, self.config.neurons)
        segments = torch.zeros(num, dtype=torch.long, device=neurons.device)
        return Spiking(neurons, neurons.clone(), neurons[..., 0].clone(), segments)

    def forward(self, state: Spiking, obs: Mapping[str, Tensor]) -> tuple[Spiking, Output]:
        """See `Agent`."""
        puzzle, fresh = obs["puzzle"], state.segments == 0
        with torch.no_grad():
            if fresh.any():
                for cell in range(self.spec.num_cells):
                    shown = fresh & (puzzle[:, cell] != self.spec.blank)
                    state = self._write(state, self.pairs[cell, puzzle[:, cell]], shown)
            if self.spec.groups and not fresh.all():
                pair, sure = self._act(state)
                state = self._write(state, self.pairs.flatten(0, 1)[pair], sure & ~fresh)
            recalled = self.recall(state)
        logits = self.scale * recalled + self.prior
        best = recalled.topk(2, dim=-1).values
        features = torch.stack((best[..., 0].amin(1), (best[..., 0] - best[..., 1]).amin(1), recalled.amax((1, 2))), 1)
        return state._replace(segments=state.segments + 1), Output(logits, features)

    def recall(self, state: Spiking) -> Tensor:
        """The strength of each pair in memory, (B, L, V): about 1 if it was shown."""
        return torch.einsum("bd,lvd->blv", state.memory, self.pairs)

    def _write(self, state: Spiking, pair: Tensor, shown: Tensor) -> Spiking:
        """Show pairs, (B, D), to the slots in `shown`, bool (B,); other slots do not change."""
        voltage, refractory, memory = state.voltage[shown], state.refractory[shown], state.memory[shown]
        if not len(memory):
            return state
        extra = TAU_MEMORY / (self.config.show * DT) * pair[shown]  # adds up to the pair
        for _ in range(self.config.show):
            voltage, refractory, spikes = self.population(voltage, refractory, memory)
            held = spikes @ self.population.decoders
            memory = memory + (1 - math.exp(-DT / TAU_MEMORY)) * (held + extra - memory)
        index = shown.nonzero()[:, 0]
        return Spiking(
            state.voltage.index_copy(0, index, voltage),
            state.refractory.index_copy(0, index, refractory),
            state.memory.index_copy(0, index, memory),
            state.segments,
        )

    def _act(self, state: Spiking) -> tuple[Tensor, Tensor]:
        """The pair whose population fires most, as an index below L * V, and whether its utility suffices, (B,)."""
        tokens = torch.tensor(self.spec.group_symbols, device=state.memory.device)
        held = (self.recall(state)[..., tokens] > 0.5).float()  # (B, L, n)
        beside = (torch.einsum("ij,bjs->bis", self.mates, held) > 0).float()
        free = (1 - beside) * (1 - held.amax(-1, keepdim=True))  # 1 where a symbol may be written
        utility = free * (beside.sum(-1, keepdim=True) - beside) / (len(tokens) - 1)
        for groups in self.groups:
            places = free[:, groups]  # (B, groups, n, symbols)
            only = places * (places.sum(2, keepdim=True) == 1)
            utility[:, groups.flatten()] = torch.maximum(utility[:, groups.flatten()], only.flatten(1, 2))
        utility = utility.flatten(1)  # (B, L * symbols)
        voltage = utility.new_zeros(*utility.shape, self.config.neurons)
        refractory, fired = torch.zeros_like(voltage), torch.zeros_like(utility)
        for _ in range(self.config.race):
            voltage, refractory, spikes = self.racers(voltage, refractory, utility)
            fired = fired + spikes @ self.racers.decoders
        best, action = (fired / self.config.race).max(1)
        cell, symbol = action // len(tokens), action % len(tokens)
        return cell * self.spec.num_tokens + tokens[symbol], best > self.config.least_utility


def pointers(rng: np.random.Generator, num: int, size: int) -> np.ndarray:
    """Unitary vectors, (num, size): binding with them preserves norms."""
    phases = rng.uniform(-np.pi, np.pi, (num, size // 2 + 1))
    phases[:, 0] = 0
    if size % 2 == 0:
        phases[:, -1] = 0
    return np.fft.irfft(np.exp(1j * phases), n=size)
