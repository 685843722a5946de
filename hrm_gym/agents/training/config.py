"""Everything a run can be told, in one flat dataclass: the command line shows it, the checkpoint keeps it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hrm_gym.errors import HrmGymError, unknown


@dataclasses.dataclass(frozen=True)
class Config:
    """A training run. Fields that the chosen preset sets show the preset's value in `--help`."""

    # ---- the run
    env: str = "Sudoku6x6-v0"
    """The puzzles: an environment id (`hrm-gym envs` lists them)."""
    agent: str = "auto"
    """The architecture: `hrm`, `trm`, the baseline `direct` that answers in one pass (`hrm-gym agents` lists them),
    or what suits the preset."""
    preset: str = "auto"
    """A named set of sizes and settings; `auto` chooses by environment, agent and device."""
    seed: int = 0
    """Seeds the weights, the puzzles and the exploration."""
    device: str = "auto"
    """`auto` (the GPU where there is one), `cpu`, `cuda` or `cuda:N`."""
    run_dir: str = ""
    """The run's folder; empty: `runs/ENV-AGENT-seedS`, numbered where it exists."""
    resume: str = ""
    """Go on with the run in this folder, bit for bit on a CPU; only budget and watching may be changed."""
    init_from: str = ""
    """A checkpoint whose weights (averaged ones) are the starting point of a new run."""
    max_minutes: float = 0.0
    """Stop after so many minutes of wall clock, evaluations included; 0: no limit."""
    max_steps: int = 0
    """Stop after so many optimizer steps (one a segment); 0: no limit."""
    target_accuracy: float = 0.0
    """Stop once the exact accuracy on held-out puzzles reaches this share; 0: never."""

    # ---- the data
    num_examples: int = 0
    """Train on the first N puzzles only (the paper: 1000); 0: all of the split."""
    dataset: str = ""
    """Train on the puzzles of this file or folder instead of the ones that ship with the environment."""
    augment: bool = True
    """Show training puzzles under random symmetries."""
    task_args: str = ""
    """Arguments of the puzzle family as `name=value`, with commas between them: `augmentations=30,num_tasks=10`."""

    # ---- the network
    hidden_size: int = 128
    """Features a position, D."""
    num_heads: int = 4
    """Attention heads (only where `mixer` is attention)."""
    expansion: float = 4.0
    """Inner width of a SwiGLU relative to its size, before the gate's two thirds."""
    mlp_multiple: int = 32
    """The inner width is rounded up to a multiple of this (the reference: 256)."""
    h_layers: int = 2
    """Blocks in the slow module H. `direct` stacks these and those of L."""
    l_layers: int = 2
    """Blocks in the fast module L, or in the single network of TRM."""
    h_cycles: int = 2
    """Steps of H a segment."""
    l_cycles: int = 2
    """Steps of L for each step of H."""
    mixer: Literal["attention", "tokens", "convolution"] = "tokens"
    """How positions exchange information: self-attention, an MLP over the position axis, or with their neighbours
    by a gated 3x3 convolution."""
    positions: Literal["rope", "rope2d", "learned", "none"] = "none"
    """Position encoding: rotary in the order of the cells or over rows and columns, learned, or none (token mixing
    and convolution tell positions apart by themselves)."""
    prefix_tokens: int = 1
    """Positions before the board that hold the puzzle embedding and from which the Q values are read."""
    normed_swiglu: bool = False
    """Whether a SwiGLU normalises its inner activation, sigmoid(gate) * RMSNorm(gate * up) (made for `muon`)."""
    num_puzzles: int = 0
    """Rows of the puzzle embedding; set by the family where its puzzles are given by examples (ARC)."""
    gradient: Literal["one_step", "last_cycle"] = "one_step"
    """What HRM differentiates: the last call of each module (the paper), or the whole last cycle of H."""

    # ---- learning
    num_envs: int = 64
    """Puzzles thought about at once, the batch size of every step; the processes of `torchrun` share them."""
    max_segments: int = 16
    """Segments after which an episode is cut off."""
    loss: Literal["stablemax", "softmax"] = "stablemax"
    """The normalisation inside the cross-entropy."""
    label_smoothing: float = 0.0
    """Share of the answer's label that is spread evenly over all symbols, in [0, 1)."""
    initial_noise: float = 0.0
    """Standard deviation of normal noise on the initial states in training; 0: none."""
    halting: Literal["q_learning", "halt_only"] = "q_learning"
    """`q_learning`: values of halt and continue with a bootstrapped target (HRM); `halt_only`: a classifier
    of correctness (TRM), which saves the second forward pass."""
    halt_target: Literal["extra_pass", "next_segment", "monte_carlo"] = "extra_pass"
    """Where the value of continuing learns from: one more forward pass (HRM), the segment that the slot thinks next,
    or the return of the whole episode. The last two save the forward pass and train the head alone."""
    target_network: bool = False
    """Whether that forward pass is one of the averaged weights."""
    gamma: float = 1.0
    """Discount of a segment in the target of continuing; below 1 the agent halts on what it has solved."""
    segment_cost: float = 0.0
    """Cost of a segment in the target of continuing; the reward of a right answer is 1."""
    halt_weight: float = 0.5
    """Weight of the halting losses beside the cross-entropy."""
    exploration: float = 0.1
    """Probability, a slot and segment, of demanding a random minimum number of segments."""
    optimizer: Literal["adamw", "adam_atan2", "muon"] = "adamw"
    """The update rule (the reference uses Adam-atan2); `muon` is for the matrices of the blocks, with AdamW for
    all else."""
    lr: float = 1e-3
    """Learning rate after the warm-up."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    decay_from: float = 0.5
    """Share of the budget (time or steps) after which the rate falls linearly; 1: never."""
    lr_end: float = 0.03
    """Learning rate at the end of the budget, as a share of `lr`."""
    weight_decay: float = 1.0
    """Decoupled weight decay."""
    muon_lr: float = 2e-2
    """Learning rate of the matrices under `muon`, after the warm-up; it follows the schedule of `lr`."""
    muon_momentum: float = 0.95
    """Decay of Muon's average of the gradients."""
    puzzle_lr: float = 1e-2
    """Learning rate of the puzzle embedding, where there is one (sign gradient descent)."""
    puzzle_weight_decay: float = 0.1
    """Weight decay of the puzzle embedding."""
    clip: float = 0.0
    """Gradients with a longer norm are shortened to it; 0: never."""
    beta2: float = 0.95
    """Decay of the second moment (the first one's is 0.9)."""
    ema: float = 0.999
    """Decay of the averaged weights that are evaluated and shipped."""

    # ---- machine
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Type of the activations, by default the device's fast one; weights, losses and averages stay float32."""
    compile: bool = False
    """Compile the network with `torch.compile`."""

    # ---- watching over it
    eval_minutes: float = 0.5
    """Minutes between evaluations on held-out puzzles."""
    eval_steps: int = 0
    """Steps between evaluations; where set, it replaces `eval_minutes` (reproducible runs)."""
    eval_puzzles: int = 256
    """Held-out puzzles of an evaluation during training."""
    test_puzzles: int = 1000
    """Held-out puzzles of the final evaluation."""
    save_minutes: float = 2.0
    """Minutes between checkpoints."""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Config).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                raise unknown(name, getattr(self, name), get_args(kind))
        for name in ("hidden_size", "num_heads", "l_layers", "h_layers", "h_cycles", "l_cycles", "num_envs"):
            if getattr(self, name) < 1:
                raise HrmGymError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in (
            "max_minutes",
            "max_steps",
            "num_examples",
            "weight_decay",
            "num_puzzles",
            "clip",
            "initial_noise",
        ):
            if getattr(self, name) < 0:
                raise HrmGymError(f"{name} is {getattr(self, name)}: it must not be negative")
        least = 1 if self.agent == "direct" else 2
        if self.max_segments < least:
            raise HrmGymError(f"max_segments is {self.max_segments}: thinking needs at least {least}")
        for name in ("lr", "muon_lr"):
            if getattr(self, name) <= 0:
                raise HrmGymError(f"{name} is {getattr(self, name)}: it must be positive")
        for name in ("target_accuracy", "exploration", "decay_from", "lr_end", "ema", "gamma", "segment_cost"):
            if not 0 <= getattr(self, name) <= 1:
                raise HrmGymError(f"{name} is {getattr(self, name)}: it is a share between 0 and 1")
        for name in ("label_smoothing", "muon_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise HrmGymError(f"{name} is {getattr(self, name)}: it must be at least 0 and below 1")
        if self.halting == "halt_only" and (self.halt_target != "extra_pass" or self.target_network):
            raise HrmGymError(
                "halting is 'halt_only', which learns no value of continuing: give --halting q_learning, or leave out "
                "halt_target and target_network"
            )
        if self.target_network and self.halt_target != "extra_pass":
            raise HrmGymError(
                f"target_network needs halt_target 'extra_pass': {self.halt_target!r} has no forward pass"
            )
        multiple = 4 if self.positions == "rope2d" else 2
        if self.mixer == "attention" and self.hidden_size % (multiple * self.num_heads):
            raise HrmGymError(
                f"hidden_size {self.hidden_size} does not split into {self.num_heads} heads whose size is a multiple "
                f"of {multiple}: with positions {self.positions!r} give a multiple of {multiple * self.num_heads}"
            )
        if self.num_puzzles and not self.prefix_tokens:
            raise HrmGymError("a puzzle embedding needs prefix_tokens of at least 1")

    def to_json(self) -> str:
        """All fields as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> Config:
        """A configuration from its fields; unknown names are errors."""
        known = [field.name for field in dataclasses.fields(Config)]
        for name in fields:
            if name not in known:
                raise unknown("configuration field", name, known)
        return Config(**fields)
