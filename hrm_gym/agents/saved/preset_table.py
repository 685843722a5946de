"""The table of presets: sizes and settings known to work, each with its agent and default environments.

`docs/` has the conditions of the measurements. Options that the chosen agent or rule does not have are ignored.
"""

from __future__ import annotations

from typing import Any

from hrm_gym.agents.saved.preset import ANY_SIZE, Preset

# Q-learning without a second forward pass: the target of continuing comes from the slot's next segment.
_Q: dict[str, Any] = {"halt_target": "next_segment", "gamma": 0.95}
# The recipe of the fastest public GPU runs ("Speed is Confidence", arXiv 2601.19085); not run here yet.
_GPU: dict[str, Any] = {
    **_Q,
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
    **_Q,
    "layers": 1,
    "h_layers": 1,
    "l_layers": 1,
    "h_cycles": 3,
    "l_cycles": 6,
    "gradient": "last_cycle",
    "loss": "softmax",
    "lr": 5e-4,
    "clip": 1.0,
    "halt_weight": 0.35,
    "hints": 0.4,
    "augment": False,  # the network is equivariant under every symmetry
    "compile": True,
}
# Convolutions for boards of any size.
_GRID: dict[str, Any] = {
    **_Q,
    "h_cycles": 2,
    "l_cycles": 4,
    "gradient": "last_cycle",
    "exploration": 0.5,  # otherwise solved boards leave training early, and the agent forgets them
    "wrong_halt_cost": 8.0,  # a segment is cheap, but halting two segments too early loses a maze
    "gamma": 0.97,  # at 1 Q-learning has no reason to stop: a right answer is worth the same now or later
    "loss": "softmax",
    "lr": 1e-3,
    "decay_from": 0.05,
    "weight_decay": 0.1,
    "clip": 1.0,
    "compile": True,
    "eval_minutes": 2.0,
}

PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        "4x4 Sudokus in a minute on a processor",
        agent="hrm",
        board="Sudoku4x4-v0",
        most_cells=16,
        steps=500,
        options={"hidden_size": 64, "lr": 2e-3, "max_minutes": 1.0, "eval_minutes": 0.2},
    ),
    "small": Preset(
        "6x6 Sudokus in five minutes on a processor",
        agent="hrm",
        board="Sudoku6x6-v0",
        most_cells=36,
        steps=1_500,
        options={"hidden_size": 128, "lr": 1e-3, "gamma": 0.9, "max_minutes": 5.0, "eval_minutes": 1.0},
    ),
    "groups_small": Preset(
        "4x4 and 6x6 Sudokus by candidates, in a minute and a half",
        agent="hrm_symbols",
        board="Sudoku6x6-v0",
        most_cells=36,
        options={
            **_Q,
            "gradient": "last_cycle",
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
    ),
    "sudoku": Preset(
        "9x9 Sudokus by candidates and guesses: small boards, large ones, then guesses, in 260 minutes of one core",
        agent="hrm_symbols",
        halting="q_learning",
        envs=("SudokuExtreme-v0", "SudokuDeep-v0", "SudokuVicinity-v0", "Sudoku9x9-v0"),
        steps=10_000,
        options={
            **_GROUPS,
            "guesses": 0.6,
            "hints": 0.2,
            "give_up": True,
            "course": "0.07 env=Sudoku6x6-v0 guesses=0.2; 0.39 guesses=0.2; 0.54",
            "growth": 0.58,
            "exploration": 0.5,  # 0.25 drifts on solved boards, 0.8 does not
            "hidden_size": 64,
            "weight_decay": 0.2,  # weights shrink to 1/e in 10,000 steps, as in published runs (1e-4, 1.0)
            "max_minutes": 260.0,
            "eval_minutes": 10.0,
            "eval_puzzles": 200,
            "test_puzzles": 400,  # each with 32 boards takes a second of one core or more
        },
    ),
    "groups": Preset(
        "puzzles whose rules are groups, by candidates: half an hour shows it learning, hours solve most",
        agent="hrm_symbols",
        halting="q_learning",
        board="SudokuExtreme-v0",
        most_cells=ANY_SIZE,
        options={
            **_GROUPS,
            "guesses": 0.5,
            "give_up": True,
            "hidden_size": 64,
            "decay_from": 0.7,
            "exploration": 0.25,
            "max_minutes": 480.0,
            "eval_minutes": 10.0,
            "eval_puzzles": 400,
        },
    ),
    "mazes": Preset(
        "30x30 mazes: small ones first, in under three hours of one core",
        agent="hrm_grid",
        halting="q_learning",
        board="MazeHard-v0",
        envs=("MazeHard-v0",),
        steps=20_000,
        options={
            **_GRID,
            # 10x10, then 10x10 to 16x16 with longer paths, then 30x30 with redrawn starts and goals.
            "task_args": "redrawn=4",
            "course": "0.2 env=MazeSmall-v0; 0.4 env=MazeSmall-v0 "
            "task_args=size=16,min_path=48,shortest=28,smallest=10,redrawn=1; 0.4 num_envs=16",
            "lr_end": 0.02,
            "hidden_size": 48,
            "mlp_size": 64,
            "num_envs": 32,
            "max_minutes": 165.0,
            "eval_minutes": 15.0,
            "eval_puzzles": 64,
            "save_minutes": 5.0,
        },
    ),
    "grid": Preset(
        "boards whose rules join neighbours, such as mazes, of any size: 20 minutes of one core",
        agent="hrm_grid",
        board="MazeSmall-v0",
        most_cells=ANY_SIZE,
        steps=5_000,
        options={
            **_GRID,
            "hidden_size": 48,
            "mlp_size": 64,
            "num_envs": 32,
            "max_minutes": 20.0,
        },
    ),
    "local": Preset(
        "the same by a plain network for one size of board",
        agent="hrm",
        board="MazeSmall-v0",
        most_cells=ANY_SIZE,
        joins_neighbours=True,
        options={
            "hidden_size": 64,
            **_Q,
            "mixer": "convolution",
            "l_cycles": 3,
            "gradient": "last_cycle",
            "max_segments": 8,  # most are solved in three; reaches 80 % twice as fast as with 16
            "lr": 1e-3,
            "max_minutes": 10.0,
            "eval_minutes": 1.0,
        },
    ),
    "medium": Preset(
        "other boards on a processor: an hour shows it learning",
        agent="hrm",
        board="Sudoku9x9-v0",
        most_cells=ANY_SIZE,
        options={
            **_Q,
            "hidden_size": 192,
            "l_cycles": 3,
            "gradient": "last_cycle",
            "lr": 1e-3,
            "max_minutes": 60.0,
            "eval_minutes": 5.0,
        },
    ),
    "gpu_groups": Preset(
        "9x9 Sudokus by candidates on one GPU, under half an hour; not run yet",
        agent="hrm_symbols",
        halting="q_learning",
        on_gpu=True,
        most_cells=ANY_SIZE,
        options={
            **_GROUPS,
            "guesses": 0.5,
            "give_up": True,
            # Width 64 underfits: it solves 22 % of its deep training puzzles. Published runs use 128 to 256. GPUs are
            # more efficient on wide matrices, and all sizes are multiples of their tiles.
            "hidden_size": 192,
            "message_size": 128,
            "mlp_size": 384,
            "num_envs": 512,  # published: 272 to 768
            "nodes_per_board": 256,  # training boards have 229 on average (standard deviation 18), and fewer with hints
            "warmup_steps": 500,
            "decay_from": 0.3,
            # Weights shrink by lr * weight_decay per step: to 1/e in 10,000 steps of published runs (1e-4, 1.0), in
            # 20,000 of perhaps 30,000 steps here. At 1.0 the matrices for mazes shrank until training collapsed.
            "weight_decay": 0.1,
            "exploration": 0.5,  # 0.25 drifts on solved boards, 0.8 does not
            "max_minutes": 18.0,
            "save_minutes": 4.0,  # the states of 512 boards are 290 MB
            "eval_minutes": 3.0,
            "eval_puzzles": 512,
        },
    ),
    "gpu_grid": Preset(
        "mazes by convolved boards on one GPU, minutes; not run yet",
        agent="hrm_grid",
        board="MazeHard-v0",
        on_gpu=True,
        most_cells=ANY_SIZE,
        options={
            **_GRID,
            "hidden_size": 128,  # 9 x 128 inputs per product of the convolution: wide enough for a GPU's matrix units
            "mlp_size": 256,
            "num_envs": 128,  # 115,200 cells of 30x30 mazes
            "warmup_steps": 200,
            "max_minutes": 10.0,
        },
    ),
    "gpu_local": Preset(
        "mazes by attention over rows and columns on one GPU",
        agent="hrm",
        board="MazeHard-v0",
        on_gpu=True,
        most_cells=ANY_SIZE,
        joins_neighbours=True,
        options={
            **_GPU,
            "num_heads": 8,
            "h_cycles": 3,
            "l_cycles": 4,
            "mixer": "attention",
            "positions": "rope2d",
            "prefix_tokens": 16,
            "num_envs": 128,
            "augment": False,  # rotated and mirrored mazes reportedly hurt with rotary positions
            "muon_lr": 0.005,
        },
    ),
    "gpu": Preset(
        "other boards on one GPU, under half an hour",
        agent="hrm",
        on_gpu=True,
        most_cells=ANY_SIZE,
        options={
            **_GPU,
            "h_cycles": 6,
            "l_cycles": 9,
            "num_envs": 384,
            "label_smoothing": 0.2,
            "muon_lr": 0.02,
            "muon_momentum": 0.6,
            "decay_from": 0.0,
        },
    ),
    "paper": Preset(
        "the paper's HRM and settings (27 million parameters) for one GPU",
        agent="hrm",
        on_gpu=True,
        options={
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
    ),
}
