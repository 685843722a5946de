"""Presets: sizes and settings that are known to work, and which of them suits a board and a device.

A preset is a set of options of a run, an agent and a halting rule. Options that the chosen agent or rule does not have
are left out. `auto` chooses as measured: small boards on a processor want token mixing and weight decay 1.0 and learn
in minutes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from hrm_gym.agents.registry import agent_class, halting_class, import_named
from hrm_gym.agents.saved.config import Config, RunOptions, assemble
from hrm_gym.agents.saved.devices import choose_device, choose_dtype
from hrm_gym.envs.registration import canonical_id, make_task, task_arguments
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, unknown

# What is fast on a GPU: wide blocks, Muon, the rate falling to zero with the clock. The recipe is that of the
# fastest public runs ("Speed is Confidence", arXiv 2601.19085); nobody has run it here yet.
_GPU: dict[str, Any] = {
    "hidden_size": 512,
    "mlp_multiple": 256,
    "gradient": "last_cycle",
    "normed_swiglu": True,
    "loss": "softmax",
    "halt_weight": 0.05,
    "optimizer": "muon",
    "lr": 1e-4,
    "warmup_steps": 0,
    "lr_end": 0.0,
    "clip": 1.0,
    "compile": True,
    "max_minutes": 25.0,
    "eval_minutes": 5.0,
    "eval_puzzles": 1024,
}
# A state for every candidate of a 9x9 Sudoku.
_GROUPS: dict[str, Any] = {
    "layers": 1,
    "h_layers": 1,
    "l_layers": 1,
    "h_cycles": 3,
    "l_cycles": 6,
    "loss": "softmax",
    "lr": 5e-4,
    "clip": 1.0,
    "halt_weight": 0.35,
    "hints": 0.4,
    "augment": False,  # the network is the same under every symmetry
    "compile": True,
}
# Convolved boards of any size.
_GRID: dict[str, Any] = {
    "h_cycles": 2,
    "l_cycles": 4,
    "exploration": 0.5,  # else solved boards leave training, and the agent drifts away from what it has solved
    "wrong_halt_cost": 8.0,  # a segment is cheap; one that is missing loses a maze that two more would have solved
    "gamma": 0.9,  # at 1 a right answer is worth the same now or later, and Q-learning has no reason to stop
    "loss": "softmax",
    "lr": 1e-3,
    "decay_from": 0.05,
    "weight_decay": 0.1,
    "clip": 1.0,
    "compile": True,
    "eval_minutes": 2.0,
}
PRESETS: dict[str, dict[str, Any]] = {
    # 4x4 Sudokus on a processor: a minute.
    "tiny": {"hidden_size": 64, "lr": 2e-3, "max_minutes": 1.0, "eval_minutes": 0.2},
    # 6x6 Sudokus on a processor: minutes.
    "small": {"hidden_size": 128, "lr": 1e-3, "gamma": 0.9, "max_minutes": 5.0, "eval_minutes": 1.0},
    # 9x9 Sudokus on a processor: an hour shows it learning.
    "medium": {
        "hidden_size": 192,
        "l_cycles": 3,
        "gradient": "last_cycle",
        "lr": 1e-3,
        "max_minutes": 60.0,
        "eval_minutes": 5.0,
    },
    # The same for 4x4 and 6x6 Sudokus: a minute, compiling included.
    "groups_small": {
        "hidden_size": 32,
        "message_size": 32,
        "mlp_size": 64,
        "loss": "softmax",
        "lr": 1e-3,
        "clip": 1.0,
        "decay_from": 0.4,
        "augment": False,
        "compile": True,
        "max_minutes": 1.5,
        "eval_minutes": 0.5,
    },
    # 9x9 Sudokus on a processor by a state for every (cell, symbol): half an hour shows it learning, hours solve most.
    "groups": {
        **_GROUPS,
        "hidden_size": 64,
        "decay_from": 0.7,
        "exploration": 0.25,
        "max_minutes": 480.0,
        "eval_minutes": 10.0,
        "eval_puzzles": 400,
    },
    # The same on one GPU in under half an hour; nobody has run it yet.
    "gpu_groups": {
        **_GROUPS,
        # Width 64 underfits: it solves 22 % of the deep ones of its training puzzles. Published runs have 128 to 256.
        # A GPU multiplies wide matrices at a larger share of its rate, and all sizes are multiples of its tiles.
        "hidden_size": 192,
        "message_size": 128,
        "mlp_size": 384,
        "num_envs": 512,  # published: 272 to 768
        "nodes_per_board": 256,  # training boards have 229 on average, with a deviation of 18, and fewer with hints
        "warmup_steps": 500,
        "decay_from": 0.3,
        # Weights shrink by lr * weight_decay a step: to 1/e in 10,000 steps of published runs (1e-4, 1.0), in 20,000
        # here, of perhaps 30,000. At 1.0 the matrices of mazes shrank until training came apart (docs/mazes.md).
        "weight_decay": 0.1,
        "exploration": 0.5,  # 0.25 drifts on boards that are solved, 0.8 does not
        "max_minutes": 18.0,
        "save_minutes": 4.0,  # the states of 512 boards are 290 MB
        "eval_minutes": 3.0,
        "eval_puzzles": 512,
    },
    # Boards whose rules join neighbours, such as mazes, on a processor.
    "local": {
        "hidden_size": 64,
        "mixer": "convolution",
        "l_cycles": 3,
        "gradient": "last_cycle",
        "max_segments": 8,  # solved in three; twice as fast to 80 % as with 16
        "lr": 1e-3,
        "max_minutes": 10.0,
        "eval_minutes": 1.0,
    },
    # The same by convolved boards of any size.
    "grid": {
        **_GRID,
        "hidden_size": 48,
        "mlp_size": 64,
        "num_envs": 32,
        "max_minutes": 20.0,
    },
    # The same on one GPU in minutes; nobody has run it yet.
    "gpu_grid": {
        **_GRID,
        "hidden_size": 128,  # of 9 x 128 inputs a product of the convolution: wide enough for a GPU's matrix units
        "mlp_size": 256,
        "num_envs": 128,  # 115,200 cells of 30x30 mazes
        "warmup_steps": 200,
        "max_minutes": 10.0,
    },
    # 9x9 Sudokus on one GPU in under half an hour: TRM with deeper cycles, 5 M parameters.
    "gpu": {
        **_GPU,
        "h_cycles": 6,
        "l_cycles": 9,
        "num_envs": 384,
        "label_smoothing": 0.2,
        "muon_lr": 0.02,
        "muon_momentum": 0.6,
        "decay_from": 0.0,
    },
    # Mazes and the like on one GPU: attention over rows and columns, 7 M parameters.
    "gpu_local": {
        **_GPU,
        "num_heads": 8,
        "h_cycles": 3,
        "l_cycles": 4,
        "mixer": "attention",
        "positions": "rope2d",
        "prefix_tokens": 16,
        "num_envs": 128,
        "augment": False,  # turned and mirrored mazes are said to hurt with rotary positions
        "muon_lr": 0.005,
    },
    # The paper's model and settings (27 M parameters) for one GPU.
    "paper": {
        "hidden_size": 512,
        "num_heads": 8,
        "h_layers": 4,
        "l_layers": 4,
        "mlp_multiple": 256,
        "mixer": "attention",
        "positions": "rope",
        "num_envs": 384,
        "optimizer": "adam_atan2",
        "lr": 1e-4,
        "warmup_steps": 2000,
        "decay_from": 1.0,
        "compile": True,
        "max_steps": 52_000,
        "eval_minutes": 5.0,
        "eval_puzzles": 1024,
    },
}
# What `--agent auto` stands for: HRM, except where larger boards have to be learned soon.
PREFERRED_AGENT = {
    "medium": "trm",
    "groups": "trm_symbols",
    "groups_small": "trm_symbols",
    "gpu_groups": "trm_symbols",
    "local": "trm",
    "grid": "trm_grid",
    "gpu_grid": "trm_grid",
    "gpu": "trm",
    "gpu_local": "trm",
}


def choose_preset(task: Task, device: str, agent: str = "auto") -> str:
    """The preset that `auto` stands for, by the board, the device and the agent."""
    on_gpu = device.startswith("cuda")
    if agent.endswith("_symbols") or (agent == "auto" and task.groups and task.hintable and task.num_cells > 36):
        return "groups_small" if task.num_cells <= 36 else "gpu_groups" if on_gpu else "groups"
    if task.num_cells <= 16:
        return "tiny"
    if task.num_cells <= 36:
        return "small"
    if task.local and (agent == "auto" or agent.endswith("_grid")):
        return "gpu_grid" if on_gpu else "grid"
    if on_gpu:
        return "gpu_local" if task.local else "gpu"
    if task.local:
        return "local"
    return "medium"


def as_text(value: Any) -> Any:
    """Paths, and runs by their folders, as texts; everything else as it is."""
    value = getattr(value, "folder", value)
    return os.fsdecode(os.fspath(value)) if isinstance(value, os.PathLike) else value


def resolve(options: Mapping[str, Any]) -> Config:
    """The complete configuration that some options stand for; all others are those of preset, agent and rule.

    Args:
        options: of a run, an agent and a halting rule, by name; `env`, `agent`, `halting`, `preset` and `device` may be
            "auto" or missing.

    Raises:
        HrmGymError: on an unknown name, a value that is not allowed, or a device that is not there.
    """
    options = {name: as_text(value) for name, value in options.items()}
    run = RunOptions()
    named = {name: options.get(name, getattr(run, name)) for name in ("env", "agent", "halting", "preset", "device")}
    for name, value in named.items():
        if not isinstance(value, str) and name != "device":
            raise HrmGymError(f"{name} is {str(value)[:60]!r}: give a text")
    device, env = choose_device(named["device"]), canonical_id(named["env"])
    preset, agent, halting = named["preset"], import_named(named["agent"]), import_named(named["halting"])
    task = make_task(env, options.get("dataset") or None, **task_arguments(options.get("task_args", "")))
    if preset == "auto":
        preset = choose_preset(task, device, agent)
    if preset not in PRESETS:
        raise unknown("preset", preset, [*PRESETS, "auto"])
    agent = PREFERRED_AGENT.get(preset, "hrm") if agent == "auto" else agent
    halting = agent_class(agent).halting if halting == "auto" else halting
    classes = RunOptions, agent_class(agent).Config, halting_class(halting).Config
    known = {field.name for cls in classes for field in dataclasses.fields(cls)}
    suits = {name: value for name, value in PRESETS[preset].items() if name in known}
    if not task.hintable:
        suits.pop("hints", None)
    whole = {**suits, **agent_class(agent).run_defaults, **options, "env": env, "preset": preset, "device": device}
    if whole.get("dtype", "auto") == "auto":
        whole["dtype"] = choose_dtype(device)
    return assemble(run, whole, agent, halting)
