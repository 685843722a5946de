"""Thoughts in place of written steps: the signature result of `latent_tokens`.

    python -m examples.lineage.latent_tokens_chain --plot thoughts.png

The task is to follow five pointers among ten places (`Chain-v0`). Three agents of the same size learn it: one writes
every step, one begins so and replaces step by step by a thought, and one answers at once. Coconut (arXiv 2412.06769)
reports that thoughts replace steps with little loss, and do far better than no steps. So it is here; see
`docs/lineage/latent_tokens.md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch

from examples.lineage.longer import accuracy, build, train
from hrm_gym.envs.sequences.chain import ChainTask

HOPS, PLACES = 5, 10
FIRST, STAGE = 600, 60
"""Training steps in which all steps are written, and of each stage that replaces one of them."""
STEPS = {"written steps": 1000, "thoughts": 1000, "neither": 6000}
"""Training steps: an agent without steps makes one pass instead of six, so in the same time it takes more of them."""
NEVER = 10**9
SIZES = {"hidden_size": 64, "layers": 2, "num_heads": 4, "mixer": "attention", "positions": "learned"}


def chain(
    kind: str,
    *,
    seed: int = 0,
    steps: int = 0,
    first: int = FIRST,
    stage: int = STAGE,
    every: int = 100,
    hops: int = HOPS,
    num_places: int = PLACES,
) -> list[tuple[float, float]]:
    """Train an agent and return its learning curve: pairs of seconds of a core and the share of right answers.

    Args:
        kind: "written steps", "thoughts" or "neither".
        seed: of weights and questions.
        steps: training steps; 0: as in `STEPS`.
        first: training steps of the first stage of "thoughts".
        stage: training steps of each of its later stages.
        every: steps between two tests.
        hops: steps of a question.
        num_places: places that point to each other.
    """
    torch.manual_seed(seed)
    task, steps = ChainTask(hops, hops, num_places=num_places), steps or STEPS[kind]
    stages = {
        "written steps": {"steps": "kept"},
        "thoughts": {"steps": "replaced", "first_stage_steps": first, "stage_steps": stage},
        "neither": {"stage_steps": NEVER},
    }
    agent = build("latent_tokens", task, prefix_tokens=hops, **SIZES, **stages[kind])
    curve, spent, began = [], 0.0, time.process_time()

    def test(step: int) -> None:
        nonlocal spent, began
        if step % every == 0 or step == steps:
            spent += time.process_time() - began
            curve.append((spent, accuracy(agent, task, 1000)[0]))
            began = time.process_time()

    # Adam's second moments are tiny where the loss is: with them, the jump of the loss between two stages would make
    # steps that destroy what was learned. The paper also begins every stage with a new optimizer.
    restarts = [first + i * stage for i in range(hops)] if kind == "thoughts" else []
    train(agent, [task], steps=steps, lr=1e-3, batch=64, seed=seed, warmup=20, restarts=restarts, after=test)
    return curve


def plot(curves: dict[str, list[list[tuple[float, float]]]], path: str) -> None:
    """Draw accuracy against time, one line a seed."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(figsize=(7, 3.5), constrained_layout=True)
    for colour, (kind, lines) in zip(("C0", "C2", "C3"), curves.items(), strict=True):
        for i, line in enumerate(lines):
            axes.plot(*zip(*line, strict=True), color=colour, label=None if i else kind)
    axes.axhline(1 / PLACES, color="grey", linestyle=":", label="chance")
    axes.set(xlabel="seconds of one core", ylabel="right answers", ylim=(0, 1.02))
    axes.legend(loc=(0.72, 0.14))
    plt.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> None:
    """Three lines, and a plot if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--plot", help="draw the curves into this file")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    curves: dict[str, list[list[tuple[float, float]]]] = {}
    for kind in STEPS:
        curves[kind] = [chain(kind, seed=seed) for seed in args.seeds]
        ends = ", ".join(f"{100 * line[-1][1]:.1f} % after {line[-1][0]:.0f} s" for line in curves[kind])
        print(f"latent_tokens, {HOPS} pointers among {PLACES} places, {kind}: {ends} (seeds {args.seeds})", flush=True)
    if args.plot:
        plot(curves, args.plot)


if __name__ == "__main__":
    main()
