"""The options of a run, except for those of its agent and its halting rule.

The options of the chosen agent and of the chosen halting rule are dataclasses of their own (`Agent.Config`,
`HaltingRule.Config`) and stand in `agent_options` and `halting_options`. The command line shows all three as one list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from hrm_gym.agents.registry import agent_class, halting_class
from hrm_gym.envs.options import PuzzleOptions
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.options import Options, from_dict, number, option_names, share
from hrm_gym.outside import where

INTEGERS = 2**63 - 1
"""The largest seed."""


@dataclasses.dataclass(frozen=True)
class _Run(Options):
    """What is trained, where, and for how long."""

    env: str = "Sudoku6x6-v0"
    """The puzzles: an environment id, or `module:ID`."""
    agent: str = "auto"
    """The agent: a name, `module:NAME`, or `auto`: what suits the preset."""
    halting: str = "auto"
    """The halting rule that learns when to stop: a name, `module:NAME`, or `auto`: the agent's own. (In
    `hrm-gym evaluate`, `--halting` only says whether the rule is used.)"""
    preset: str = "auto"
    """A named set of sizes and settings; `auto` chooses by environment and device."""
    seed: int = number(0, least=0, most=INTEGERS)
    """Seeds the weights, the puzzles and the exploration, each by a seed of its own."""
    device: str = "auto"
    """`auto` (the GPU where there is one), `cpu`, `cuda` or `cuda:N`."""
    run_dir: str = ""
    """The run's folder; empty: `runs/ENV-AGENT-seedS`, numbered where it exists."""
    resume: str = ""
    """Go on with the run in this folder; only its budget, device, folder and evaluations may be
    changed."""
    init_from: str = ""
    """A checkpoint whose weights (averaged ones) are the starting point of a new run."""
    max_minutes: float = number(0.0, least=0)
    """Stop after so many minutes of wall clock, evaluations included; 0: no limit."""
    max_steps: int = number(0, least=0)
    """Stop after so many optimizer steps (one a segment); 0: no limit. Where given, the schedule of the learning rate
    counts steps, and resuming is bit for bit on a CPU; else it counts minutes."""
    target_accuracy: float = share(0.0)
    """Stop once the accuracy on validation puzzles reaches this share; 0: never."""


@dataclasses.dataclass(frozen=True)
class RunOptions(PuzzleOptions, _Run):
    """A training run. Options that the chosen preset sets show the preset's value in `--help`.

    What it has from `PuzzleOptions` goes to the environments. Where None is a value there, a run has another word, as a
    command line has none for it.
    """

    # ---- the data and the episodes
    num_examples: int = number(0, least=0)
    """Train on the first N puzzles only (the paper: 1000); 0: all of the split."""
    dataset: str = ""
    """Train on the puzzles of this file or folder instead of the ones that ship with the environment."""
    augment: bool = True
    """Show training puzzles under random symmetries."""
    max_segments: int = number(16, least=1, most=10_000)
    """Segments after which an episode ends."""
    curriculum: float = share(0.0)
    """Share of the budget during which training grows from the easiest tenth of the puzzles, as the family rates them,
    to all of them; 0: all from the beginning."""
    course: str = ""
    """Stages of the run as shares of its budget and what each shows instead, such as
    `0.1 env=Sudoku6x6-v0 guesses=0; 0.9`; empty: one stage."""
    task_args: str = ""
    """Arguments of the puzzle family as `name=value`, with commas between them: `augmentations=30,num_tasks=10`."""
    num_envs: int = number(64, least=1, most=1 << 20)
    """Puzzles thought about at once, the batch size of every step; the processes of `torchrun` share them."""

    # ---- learning
    loss: Literal["stablemax", "softmax"] = "stablemax"
    """The normalisation inside the cross-entropy."""
    label_smoothing: float = number(0.0, least=0, below=1)
    """Share of the answer's label that is spread evenly over all symbols."""
    halt_weight: float = number(0.5, least=0)
    """Weight of the halting rule's loss beside the cross-entropy."""
    aux_weight: float = number(1.0, least=0)
    """Weight of the agent's own loss, where it has one."""
    initial_noise: float = number(0.0, least=0)
    """Standard deviation of normal noise on the initial states in training; 0: none."""
    optimizer: Literal["adamw", "adam_atan2", "muon"] = "adamw"
    """The update rule (the reference uses Adam-atan2); `muon` is for the agent's matrices, with AdamW for all else."""
    lr: float = number(1e-3, above=0)
    """Learning rate after the warm-up."""
    warmup_steps: int = number(100, least=0)
    """Steps of linear warm-up."""
    decay_from: float = share(0.5)
    """Share of the budget (steps or minutes) after which the rate falls linearly; 1: never."""
    lr_end: float = share(0.03)
    """Learning rate at the end of the budget, as a share of `lr`."""
    weight_decay: float = number(1.0, least=0)
    """Decoupled weight decay."""
    beta2: float = number(0.95, least=0, below=1)
    """Decay of the second moment (the first one's is 0.9)."""
    muon_lr: float = number(2e-2, above=0)
    """Learning rate of the matrices under `muon`, after the warm-up; it follows the schedule of `lr`."""
    muon_momentum: float = number(0.95, least=0, below=1)
    """Decay of Muon's average of the gradients."""
    table_lr: float = number(1e-2, above=0)
    """Learning rate of sparse embeddings, such as that of puzzle identities (sign gradient descent)."""
    table_weight_decay: float = number(0.1, least=0)
    """Weight decay of sparse embeddings."""
    clip: float = number(0.0, least=0)
    """Gradients with a longer norm are shortened to it; 0: never."""
    ema: float = share(0.999)
    """Decay of the averaged weights that are evaluated and shipped."""

    # ---- machine
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Type of the activations; `auto`: the device's fast one. Weights, losses and averages stay float32."""
    compile: bool = False
    """Compile the network with `torch.compile`."""
    cuda_graphs: bool = False
    """Record the compiled network's kernels as CUDA graphs (`mode="reduce-overhead"`): worth it where the host cannot
    queue kernels as fast as the GPU computes them. It needs memory of its own."""

    # ---- evaluations and checkpoints
    eval_minutes: float = number(0.5, above=0)
    """Minutes between evaluations on validation puzzles."""
    eval_steps: int = number(0, least=0)
    """Steps between evaluations; where set, it replaces `eval_minutes` (reproducible runs)."""
    eval_puzzles: int = number(256, least=1)
    """Validation puzzles of an evaluation during training."""
    test_puzzles: int = number(1000, least=1)
    """Test puzzles of the final evaluation, the only time that they are read."""
    save_minutes: float = number(2.0, above=0)
    """Minutes between checkpoints."""

    def env_options(self) -> dict[str, Any]:
        """The options of the environments that the run trains on."""
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(PuzzleOptions)}
        return {**shared, "num_examples": self.num_examples or None, "dataset": self.dataset or None}


@dataclasses.dataclass(frozen=True)
class Config(RunOptions):
    """A run with its agent and halting rule, complete: every `auto` is resolved."""

    agent_options: Any = None
    """Options of the agent."""
    halting_options: Any = None
    """Options of the halting rule."""

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Config:  # type: ignore[override]
        """A configuration from what `to_dict` gave.

        Raises:
            HrmGymError: on an unknown name, or a value that is not allowed.
        """
        own = {name: value for name, value in fields.items() if name not in ("agent_options", "halting_options")}
        run = RunOptions.from_dict(own)
        parts: dict[str, Any] = {}
        for name, cls in (("agent_options", agent_class(run.agent)), ("halting_options", halting_class(run.halting))):
            given = fields.get(name)
            if not isinstance(given, Mapping):
                raise HrmGymError(f"{name} is {given!r}: a dictionary is needed")
            parts[name] = from_dict(cls.Config, given)
        return Config(**own, **parts)


def assemble(run: RunOptions, options: Mapping[str, Any], agent_name: str, halting_name: str) -> Config:
    """A configuration from a run and flat `options` of all three kinds, each of which goes where its name belongs.

    Raises:
        HrmGymError: on a name that none of the three has, naming the nearest one, or that two of them have.
    """
    agent, halting = agent_class(agent_name).Config, halting_class(halting_name).Config
    owner: dict[str, Any] = {}
    """The class that has an option of this name."""
    for cls in (RunOptions, agent, halting):
        for name in option_names(cls):
            if name in owner:
                raise HrmGymError(f"{where(cls)}: {owner[name].__name__} has an option {name!r}, too: rename this one")
            owner[name] = cls
    for name in options:
        if name not in owner:
            raise unknown(f"option of agent {agent_name!r} with halting {halting_name!r}", name, owner)
    parts = [
        from_dict(cls, {name: value for name, value in options.items() if owner[name] is cls})
        for cls in (agent, halting)
    ]
    whole = {name: options.get(name, getattr(run, name)) for name in option_names(RunOptions)}
    whole |= {"agent": agent_name, "halting": halting_name}
    RunOptions.from_dict(whole)  # refuses values of other types
    return Config(**whole, agent_options=parts[0], halting_options=parts[1])
