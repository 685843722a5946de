"""Writes the two notebooks of `docs/notebooks`, whose cells are kept here as text, and executes them for their figures.

    python docs/_site/make_notebooks.py

`tests/test_site.py` checks that the notebooks have these cells and figures, and executes them at a small size.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"

INSTALL = """try:
    import hrm_gym
except ImportError:  # in Colab, say: from a wheel that you uploaded beside this notebook
    %pip install -q --find-links . "hrm-gym[all,plots]"
    import hrm_gym"""

WATCH: list[str | tuple[str]] = [
    (
        """# Watch HRM think, and train one

A shipped agent solves a Sudoku, segment by segment. Then you train an agent for 4x4 boards: 600 steps, about a minute of an idle
processor. No GPU is needed.""",
    ),
    INSTALL,
    """import os

import matplotlib.pyplot as plt
import numpy as np
import torch

STEPS = int(os.environ.get("HRM_GYM_TRAINING_STEPS", 600))  # of training below
torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))""",
    (
        """## A puzzle is an environment

You see the puzzle as tokens, 0 for a blank. You answer with every cell and a last entry: 0 to continue, 1 to halt.""",
    ),
    """env = hrm_gym.make("Sudoku6x6-v0", split="test")
obs, info = env.reset(seed=6)
print(obs["puzzle"].reshape(6, 6))
print(env.action_space)""",
    (
        """## A thought is a segment

`policy(state, obs)` thinks for one segment. The state is what the agent carries to the next one. The agent halts when it
values halting above continuing.""",
    ),
    """policy = hrm_gym.load_agent("Sudoku6x6-v0", device="cpu")
state = policy.initial_state(1)
thoughts, ended = [], False
while not ended:
    puzzle = torch.as_tensor(obs["puzzle"])[None].long()
    with torch.inference_mode():
        state, output, signals = policy(state, {"puzzle": puzzle})
    answer = output.logits.argmax(-1)[0].numpy()
    confidence = policy.probabilities(output).max(-1).values[0].numpy()
    halt = policy.halting.decide(signals, torch.tensor([len(thoughts) + 1]))[0]
    obs, reward, ended, _, info = env.step(np.append(answer, int(halt)))
    thoughts.append((answer, confidence))
    print(f"segment {len(thoughts)}: {info['violations']} broken rules, belief {signals['q_halt'].sigmoid().item():.0%}")
print("solved" if reward == 1 else "not solved")""",
    (
        """Here is the same as a picture. The agent is unsure about amber cells and sure about blue ones. A folded corner marks a
cell that the segment changed.""",
    ),
    """from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import BoardRenderer

board = BoardRenderer(hrm_gym.make_task("Sudoku6x6-v0"))
given, before = puzzle[0].numpy(), None
pictures = [board.rgb(Frame(puzzle=given, answer=given))]
for segment, (answer, confidence) in enumerate(thoughts, start=1):
    frame = Frame(puzzle=given, answer=answer, segment=segment, previous=before, confidence=confidence)
    pictures.append(board.rgb(frame))
    before = answer
figure, axes = plt.subplots(1, len(pictures), figsize=(3 * len(pictures), 3.3))
for axis, picture in zip(axes, pictures):
    axis.imshow(picture)
    axis.axis("off")""",
    (
        """## Train one

Each segment is followed by one gradient step: the paper's deep supervision. The folder of the run holds its checkpoint, TensorBoard
events, and `result.json` with the final figures on test puzzles.""",
    ),
    """budget = {"max_minutes": 0, "max_steps": STEPS, "eval_steps": max(1, STEPS // 6)}
run = hrm_gym.train("Sudoku4x4-v0", "hrm", **budget, device="cpu")
print(f"{run.result['exact_accuracy']:.1%} of {run.result['num_puzzles']} test puzzles")""",
    """curve = run.result["training"]["validation_curve"]
plt.plot([point["step"] for point in curve], [100 * point["exact_accuracy"] for point in curve], "o-")
plt.xlabel("steps")
plt.ylabel("validation puzzles solved, %");""",
    (
        """## Look inside

`hrm_gym.analyze` gives figures, a paragraph and a plot for each analysis. This one shows how accuracy grows with segments, also beyond
the number used in training.""",
    ),
    """(depth,) = hrm_gym.analyze("Sudoku4x4-v0", run.folder, what=["depth"], puzzles=100, traced=10, device="cpu")
print(depth.text)
depth.plot()""",
]

HALTING: list[str | tuple[str]] = [
    (
        """# When should a model stop thinking? Halting as reinforcement learning

A trained HRM thinks, and your policy decides after every segment whether it continues. This is an ordinary environment with two
actions, so any library can learn it. Here it is Stable-Baselines3.""",
    ),
    INSTALL,
    """import os

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

STEPS = int(os.environ.get("HRM_GYM_STEPS", 10_000))  # decisions to learn from
PUZZLES = int(os.environ.get("HRM_GYM_PUZZLES", 100))
ENV = "hrm_gym:Sudoku6x6-Halt-v0"
ARGS = {"num_examples": PUZZLES, "max_segments": 8, "segment_cost": 0.05}""",
    (
        """## What you see and do

The observation is a few numbers: the agent's own values, its confidence, what changed. Action 0 continues and costs 0.05. Action 1
halts, and a right answer then pays 1.""",
    ),
    """env = gym.make(ENV, **ARGS)
obs, info = env.reset(seed=0)
print(env.action_space)
for name, value in zip(env.unwrapped.names, obs):
    print(f"{name:18} {value:.3f}")""",
    (
        """## Learn

Episodes are recorded once and replayed, so thousands of decisions take seconds. The discount is 1; only the cost of a segment rewards
stopping early.""",
    ),
    """envs = make_vec_env(ENV, n_envs=16, seed=0, env_kwargs=ARGS)
model = PPO("MlpPolicy", envs, gamma=1.0, learning_rate=2e-3, n_steps=32, batch_size=128, n_epochs=8, seed=0, device="cpu")
model.learn(STEPS)""",
    (
        """## Compare on test puzzles

Each policy gets the same test puzzles, in one batch.""",
    ),
    """def compare(policy):
    envs = gym.make_vec(ENV, num_envs=PUZZLES, split="test", **ARGS)
    obs, info = envs.reset(options={"index": np.arange(PUZZLES)})
    total, running = np.zeros(PUZZLES), np.ones(PUZZLES, bool)
    right, segments = info["is_success"], info["segment"]
    while running.any():
        obs, reward, terminated, _, info = envs.step(policy(obs))
        total += reward * running
        right = np.where(running, info["is_success"], right)
        segments = np.where(running, info["segment"], segments)
        running &= ~terminated
    return total.mean(), right.mean(), segments.mean()


rng = np.random.default_rng(0)
policies = {
    "random": lambda obs: rng.integers(2, size=len(obs)),
    "think to the end": lambda obs: np.zeros(len(obs), np.int64),
    "PPO": lambda obs: model.predict(obs, deterministic=True)[0],
}
results = {name: compare(policy) for name, policy in policies.items()}
for name, (value, right, segments) in results.items():
    print(f"{name:18} return {value:6.3f}   {right:4.0%} right   {segments:.2f} segments")""",
    """for name, (value, right, segments) in results.items():
    plt.scatter(segments, 100 * right, s=60, label=f"{name}: return {value:.2f}")
plt.xlabel("mean segments")
plt.ylabel("right, %")
plt.ylim(0, 103)
plt.legend();""",
    (
        """Thinking to the end is nearly always right but pays for every segment. The learned policy is nearly as accurate and stops early.
`hrm-gym halting --env Sudoku6x6-v0 --out DIR` compares many more rules, including the agent's own.""",
    ),
]

NOTEBOOKS = {"watch_hrm_think": WATCH, "halting_with_sb3": HALTING}


def notebook(cells: list[str | tuple[str]]) -> dict[str, Any]:
    """The notebook of these cells, code as text and prose in a tuple, in the form that Jupyter and Colab open."""
    made = []
    for i, cell in enumerate(cells):
        text = cell if isinstance(cell, str) else cell[0]
        common = {"id": f"cell-{i}", "metadata": {}, "source": text.splitlines(keepends=True)}
        if isinstance(cell, str):
            made.append({"cell_type": "code", "execution_count": None, "outputs": [], **common})
        else:
            made.append({"cell_type": "markdown", **common})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "colab": {"provenance": []}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def executed(book: dict[str, Any]) -> dict[str, Any]:
    """The same notebook with what its cells print and draw; it takes a minute or two of two cores."""
    import nbclient
    import nbformat

    read = nbformat.reads(json.dumps(book), as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        nbclient.NotebookClient(read, timeout=1800, kernel_name="python3", resources=place).execute()
    for cell, ran in zip(book["cells"], read.cells, strict=True):
        for output in ran.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                lines = output.text.splitlines(keepends=True)
                cell["outputs"].append({"name": "stdout", "output_type": "stream", "text": lines})
            elif "image/png" in output.get("data", {}):
                data = {"image/png": output.data["image/png"]}
                cell["outputs"].append({"data": data, "metadata": {}, "output_type": "display_data"})
    return book


if __name__ == "__main__":
    for name, cells in NOTEBOOKS.items():
        (FOLDER / f"{name}.ipynb").write_text(json.dumps(executed(notebook(cells)), indent=1) + "\n", encoding="utf-8")
