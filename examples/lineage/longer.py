"""Train an agent on short sequences and test it on longer ones: what the examples of this folder share.

A plain loop of one segment a sequence. Every batch is drawn anew; nothing is tested that was trained on, as tested
sequences are longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.func import functional_call

from hrm_gym.agents import Agent, TaskSpec
from hrm_gym.agents.registry import agent_class
from hrm_gym.agents.training.losses import answer_loss
from hrm_gym.envs.task import Task


def build(name: str, task: Task, **options) -> Agent:
    """An untrained agent for the board of a task."""
    cls = agent_class(name)
    return cls(cls.Config(**options), TaskSpec.of(task))


def train(
    agent: Agent,
    tasks: Sequence[Task],
    *,
    steps: int,
    lr: float,
    batch: int = 32,
    seed: int = 0,
    adamax: bool = False,
    warmup: int = 0,
    restarts: Sequence[int] = (),
    after: Callable[[int], None] | None = None,
) -> None:
    """Gradient steps on fresh batches, each of one of the tasks; the rate falls linearly over the last half.

    The tasks may have boards of several sizes: the weights are the same on all of them. During the first `warmup` steps
    the rate rises linearly. After each number of steps in `restarts` the optimizer forgets its moments and the rate
    rises again. `after` is called with the number of steps after each of them.
    """
    rng = np.random.default_rng(seed)
    optimizer = (torch.optim.Adamax if adamax else torch.optim.Adam)(agent.parameters(), lr=lr)
    begins = [0, *restarts]

    def rate(step: int) -> float:
        return min(1.0, (step - max(b for b in begins if b <= step) + 1) / (warmup + 1), 2.05 - 2 * step / steps)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    weights = {**dict(agent.named_parameters()), **dict(agent.named_buffers())}
    minds = [type(agent)(agent.config, TaskSpec.of(task)).train() for task in tasks]
    for mind in minds:
        mind.load_state_dict(agent.state_dict())  # initial states may depend on constants that are drawn at random
    for step in range(1, steps + 1):
        choice = int(rng.integers(len(tasks)))
        task, mind = tasks[choice], minds[choice]
        puzzle, solution = (torch.as_tensor(a.astype(np.int64)) for a in task.sample(batch, rng)[:2])
        _, out = functional_call(mind, weights, (mind.initial_state(batch), {"puzzle": puzzle}))
        # Padding does not count, nor do the cells of the question, which the other losses of the package do teach.
        solution = torch.where(puzzle == task.blank, solution, task.padding)
        loss = answer_loss(out.logits, solution, "softmax", task.padding).mean()
        if out.aux_loss is not None:
            loss = loss + out.aux_loss.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step in restarts:
            optimizer.state.clear()
        if after is not None:
            after(step)


@torch.no_grad()
def accuracy(agent: Agent, task: Task, num: int = 256, seed: int = 1) -> tuple[float, float]:
    """Share of right answers, whole and symbol by symbol, that the agent's weights give on the board of `task`."""
    now = type(agent)(agent.config, TaskSpec.of(task)).eval()
    now.load_state_dict(agent.state_dict())
    puzzle, solution, _ = task.sample(num, np.random.default_rng(seed))
    obs = {"puzzle": torch.as_tensor(puzzle.astype(np.int64))}
    right = now(now.initial_state(num), obs)[1].logits.argmax(-1).numpy() == solution
    asked = puzzle == task.blank
    return float((right | ~asked).all(1).mean()), float(right[asked].mean())
