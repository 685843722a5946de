"""The options of a run.

The options of the agent and of the halting rule are separate dataclasses (`Agent.Config`, `HaltingRule.Config`) in
`agent_options` and `halting_options`. The command line shows all three as one list.
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
    """What to train, where, and for how long."""

    env: str = "Sudoku6x6-v0"
    """The environment id of the puzzles, or `module:ID`."""
    agent: str = "auto"
    """The agent: a name, `module:NAME`, or `auto` for the preset's agent."""
    halting: str = "auto"
    """The halting rule that learns when to stop: a name, `module:NAME`, or `auto` for the default of the preset or
    agent. (In `hrm-gym evaluate`, `--halting` only selects whether to use the rule.)"""
    preset: str = "auto"
    """A named set of sizes and settings; `auto` chooses one by environment and device."""
    seed: int = number(0, least=0, most=INTEGERS)
    """Seed of weights, puzzles and exploration."""
    device: str = "auto"
    """`auto` (the GPU if there is one), `cpu`, `cuda`, `cuda:N` or `mps` (Apple)."""
    run_dir: str = ""
    """The run's folder; empty: `runs/ENV-AGENT-seedS`, with a number if that exists."""
    resume: str = ""
    """Resume the run in this folder; only its budget, device, folder, logs and evaluations may change."""
    init_from: str = ""
    """Start a new run from the averaged weights of this checkpoint."""
    max_minutes: float = number(0.0, least=0)
    """Stop after this many minutes of wall-clock time, including evaluations; 0: no limit."""
    max_steps: int = number(0, least=0)
    """Stop after this many optimizer steps; 0: no limit. If set, the learning rate follows the steps, not the minutes,
    and resuming on a CPU is exact to the bit."""
    target_accuracy: float = share(0.0)
    """Stop early once the accuracy on validation puzzles reaches this share; 0: never."""


@dataclasses.dataclass(frozen=True)
class RunOptions(PuzzleOptions, _Run):
    """A training run. `--help` shows the preset's values for the options that it sets.

    Options from `PuzzleOptions` go to the environments. If None is a value there, a run uses another value for it,
    because a command line cannot express None.
    """

    # ---- data and episodes
    num_examples: int = number(0, least=0)
    """Train on the first N puzzles only (paper: 1000); 0: all."""
    dataset: str = ""
    """Train on the puzzles in this file or folder."""
    augment: bool = True
    """Show training puzzles under random symmetries."""
    max_segments: int = number(16, least=1, most=10_000)
    """Maximum number of segments in an episode."""
    curriculum: float = share(0.0)
    """Share of the budget during which the training set grows from the easiest tenth of the puzzles, by the family's
    rating, to all; 0: all from the start."""
    course: str = ""
    """Stages of the run, each with its share of the budget and its changed options, such as
    `0.1 env=Sudoku6x6-v0 guesses=0; 0.9`; empty: one stage."""
    task_args: str = ""
    """Arguments of the puzzle family as comma-separated `name=value` pairs: `augmentations=30,num_tasks=10`."""
    num_envs: int = number(64, least=1, most=1 << 20)
    """Batch size: parallel puzzles, over all processes."""

    # ---- learning
    loss: Literal["stablemax", "softmax"] = "stablemax"
    """The normalisation of logits in the cross-entropy."""
    label_smoothing: float = number(0.0, least=0, below=1)
    """Label smoothing: the share of the label spread evenly over all symbols."""
    halt_weight: float = number(0.5, least=0)
    """Weight of the halting rule's loss relative to the cross-entropy."""
    aux_weight: float = number(1.0, least=0)
    """Weight of the agent's own loss, if it has one."""
    initial_noise: float = number(0.0, least=0)
    """Standard deviation of normal noise on initial states in training; 0: none."""
    optimizer: Literal["adamw", "adam_atan2", "muon"] = "adamw"
    """The optimizer (HRM's reference implementation: `adam_atan2`). `muon` updates the agent's matrices, with AdamW for
    everything else."""
    lr: float = number(1e-3, above=0)
    """Learning rate after the warm-up."""
    warmup_steps: int = number(100, least=0)
    """Number of steps of linear warm-up."""
    decay_from: float = share(0.5)
    """Share of the budget (steps or minutes) after which the learning rate decays linearly; 1: never."""
    lr_end: float = share(0.03)
    """Learning rate at the end of the budget, as a share of `lr`."""
    weight_decay: float = number(1.0, least=0)
    """Decoupled weight decay."""
    beta2: float = number(0.95, least=0, below=1)
    """Decay of the second moment (the first moment's is 0.9)."""
    muon_lr: float = number(2e-2, above=0)
    """Learning rate of the matrices with `muon`, after the warm-up; it follows the schedule of `lr`."""
    muon_momentum: float = number(0.95, least=0, below=1)
    """Momentum of Muon."""
    table_lr: float = number(1e-2, above=0)
    """Learning rate of sparse embeddings, such as puzzle embeddings (sign gradient descent)."""
    table_weight_decay: float = number(0.1, least=0)
    """Weight decay of sparse embeddings."""
    clip: float = number(0.0, least=0)
    """Clip the gradient to this norm; 0: no clipping."""
    ema: float = share(0.999)
    """Decay of the moving average of the weights, which is used for evaluation and release."""

    # ---- machine
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Type of the activations; `auto`: the fastest on the device. Weights, losses and averages stay float32."""
    compile: bool = False
    """Compile the network with `torch.compile`."""
    cuda_graphs: bool = False
    """Record the compiled network's kernels as CUDA graphs (`mode="reduce-overhead"`). This helps if the host cannot
    launch kernels as fast as the GPU runs them, and needs extra memory."""

    # ---- evaluations and checkpoints
    eval_minutes: float = number(0.5, above=0)
    """Minutes between evaluations on validation puzzles."""
    eval_steps: int = number(0, least=0)
    """Steps between evaluations; if set, it replaces `--eval-minutes` (for reproducible runs)."""
    eval_puzzles: int = number(256, least=1)
    """Number of validation puzzles for evaluations during training."""
    test_puzzles: int = number(1000, least=1)
    """Number of test puzzles for the final evaluation; nothing else uses test puzzles."""
    save_minutes: float = number(2.0, above=0)
    """Minutes between checkpoints."""
    log: str = "tensorboard"
    """Where the figures go, a list with commas: `tensorboard`, `csv` (`log.csv` in the run's folder), `wandb`,
    `mlflow`, `trackio`, or `none`."""

    def env_options(self) -> dict[str, Any]:
        """The options of the training environments."""
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(PuzzleOptions)}
        return {**shared, "num_examples": self.num_examples or None, "dataset": self.dataset or None}


@dataclasses.dataclass(frozen=True)
class Config(RunOptions):
    """A complete configuration of run, agent and halting rule, with every `auto` resolved."""

    agent_options: Any = None
    """Options of the agent."""
    halting_options: Any = None
    """Options of the halting rule."""

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Config:  # type: ignore[override]
        """The inverse of `to_dict`.

        Raises:
            HrmGymError: on an unknown name or a value out of range.
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
    """Build a configuration from run options and flat `options`; each goes to run, agent or halting rule by its name.

    Raises:
        HrmGymError: on a name that none of the three has (with the nearest name), or that two of them have.
    """
    agent, halting = agent_class(agent_name).Config, halting_class(halting_name).Config
    owner: dict[str, Any] = {}
    """The class with the option of each name."""
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
    RunOptions.from_dict(whole)  # checks types
    return Config(**whole, agent_options=parts[0], halting_options=parts[1])
