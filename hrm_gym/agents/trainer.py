"""The training loop: a batch of environments, one segment and one gradient step at a time.

    obs, info = envs.reset(seed)
    carry = agent.initial_carry(num_envs)
    while there is budget:
        carry, out = agent(carry, obs)                      think for one segment
        loss = cross-entropy + Bellman errors               learn from it at once; the carry is detached
        obs, info, done = envs.step(answer, halt)           finished slots get fresh puzzles
        carry = agent.reset(carry, done)
"""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import checkpoint as checkpoints
from hrm_gym.agents.checkpoint import Checkpoint
from hrm_gym.agents.config import Config
from hrm_gym.agents.evaluator import Evaluation, evaluate
from hrm_gym.agents.halting import learned, minimum_segments
from hrm_gym.agents.learner import continue_target, is_right, segment_losses
from hrm_gym.agents.optimizers import learning_rate, make_average, make_optimizer
from hrm_gym.agents.progress import Progress
from hrm_gym.agents.reasoner import Carry, Reasoner
from hrm_gym.agents.registry import build_reasoner
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError

REPORT_SECONDS = 1.0


class Trainer:
    """A run: everything that changes while it learns, and how one step changes it.

    Args:
        config: complete (see `registry.resolve`), with a device that exists.
        saved: a checkpoint to go on from.
    """

    def __init__(self, config: Config, saved: Checkpoint | None = None):
        torch.manual_seed(config.seed)
        self.config = config
        self.device = torch.device(config.device)
        self.task = make_task(config.env)
        self.envs: Any = gym.make_vec(
            f"hrm_gym:{config.env}" if ":" not in config.env else config.env,
            num_envs=config.num_envs,
            device=config.device,
            autoreset_mode="SameStep",
            max_segments=config.max_segments,
            num_examples=config.num_examples or None,
            dataset=config.dataset or None,
        )
        self.agent: Reasoner = build_reasoner(config, self.task.num_tokens, self.task.num_cells)
        if config.init_from:
            self.agent.load_state_dict(_starting_weights(config, self.task.num_tokens, self.task.num_cells))
        self.agent.to(self.device)
        self.model = torch.compile(self.agent, dynamic=False) if config.compile else self.agent
        self.average = make_average(config, self.agent)
        self.optimizer = make_optimizer(config, self.agent)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.step = 0
        self.seconds = 0.0
        self.obs, info = self.envs.reset(seed=config.seed)
        self.solution: Tensor = info["solution"]
        self.carry: Carry = self.agent.initial_carry(config.num_envs)
        if saved is not None:
            self._restore(saved)

    # ---- one step --------------------------------------------------------------------------------

    def progress(self) -> float:
        """Share of the budget used, in [0, 1]: of the time or the steps, whichever is further."""
        c = self.config
        of_time = self.seconds / (60 * c.max_minutes) if c.max_minutes else 0.0
        of_steps = self.step / c.max_steps if c.max_steps else 0.0
        return min(1.0, max(of_time, of_steps))

    def train_segment(self) -> dict[str, Tensor]:
        """One segment in every slot and one gradient step; returns figures that stay on the device."""
        c = self.config
        rate = learning_rate(c, self.step, self.progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate

        carry, out = self.model(self.carry, self.obs)
        segment = self.obs["segment"] + 1
        target = None
        if c.halting == "q_learning":
            with torch.no_grad():
                _, following = self.model(carry, self.obs)
                target = continue_target(following, segment >= c.max_segments)
        losses = segment_losses(out, self.solution, target, c.loss)
        self.optimizer.zero_grad()
        (losses.total(c.halt_weight) / c.num_envs).backward()
        self.optimizer.step()
        self.average.update_parameters(self.agent)
        self.step += 1

        with torch.no_grad():
            answer = out.logits.argmax(-1)
            right = is_right(out, self.solution)
            cells = (answer == self.solution).float().mean()
            minimum = minimum_segments(c, c.num_envs, self.generator, self.device)
            halt = learned(out, c.halting) & (segment >= minimum)
            action = torch.cat((answer, halt.long().unsqueeze(1)), dim=1)  # (B, L + 1)
            self.obs, _, terminated, truncated, info = self.envs.step(action)
            self.solution = info["solution"]
            done = terminated | truncated
            self.carry = self.agent.reset(carry, done)
        return {
            "answer_loss": losses.answer.detach() / c.num_envs,
            "halt_loss": losses.halt.detach() / c.num_envs,
            "continue_loss": losses.keep_on.detach() / c.num_envs,
            "exact_accuracy": right.float().mean(),
            "cell_accuracy": cells,
            "q_says_right": out.q_halt.detach().sigmoid().mean(),
            "q_continue": out.q_continue.detach().sigmoid().mean(),
            "learning_rate": torch.tensor(rate),
            "ended": torch.where(done, segment, 0),
        }

    def evaluate(self, puzzles: Puzzles, halting: str = "fixed") -> Evaluation:
        """The averaged weights on held-out puzzles."""
        averaged = self.averaged_agent()
        return evaluate(averaged, self.task, puzzles, max_segments=self.config.max_segments, halting=halting)

    def averaged_agent(self) -> Reasoner:
        """The model with averaged weights."""
        agent: Any = self.average.module
        return agent.eval()

    # ---- saving ----------------------------------------------------------------------------------

    def snapshot(self) -> Checkpoint:
        """All of the run's state."""
        tensors = {f"model/{name}": t for name, t in self.agent.state_dict().items()}
        tensors |= {f"ema/{name}": t for name, t in self.average.module.state_dict().items()}
        numbers: dict[str, dict[str, float]] = {}
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer/{index}/{name}"] = value
                else:
                    numbers.setdefault(str(index), {})[name] = value
        tensors |= {"carry/z_h": self.carry.z_h, "carry/z_l": self.carry.z_l}
        tensors |= {f"envs/{name}": t for name, t in self.envs.unwrapped.state_dict().items()}
        tensors |= {"random/torch": torch.get_rng_state(), "random/exploration": self.generator.get_state()}
        counters = {
            "step": self.step,
            "seconds": self.seconds,
            "averaged": int(self.average.n_averaged),
            "optimizer": numbers,
        }
        return Checkpoint(self.config, self.task.num_tokens, self.task.num_cells, counters, tensors)

    def _restore(self, saved: Checkpoint) -> None:
        self.agent.load_state_dict(saved.part("model"))
        self.average.module.load_state_dict(saved.part("ema"))
        self.average.n_averaged.fill_(saved.counters["averaged"])
        state: dict[int, dict[str, Any]] = defaultdict(dict)
        for key, value in saved.part("optimizer").items():
            index, name = key.split("/")
            state[int(index)][name] = value
        for index, numbers in saved.counters["optimizer"].items():
            state[int(index)].update(numbers)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
        self.carry = Carry(*(saved.part("carry")[name].to(self.device) for name in ("z_h", "z_l")))
        self.obs, info = self.envs.unwrapped.load_state_dict(saved.part("envs"))
        self.solution = info["solution"]
        torch.set_rng_state(saved.tensors["random/torch"])
        self.generator.set_state(saved.tensors["random/exploration"])
        self.step, self.seconds = saved.counters["step"], saved.counters["seconds"]


def _starting_weights(config: Config, num_tokens: int, num_cells: int) -> dict[str, Tensor]:
    path = Path(config.init_from)
    saved = checkpoints.load(path)
    if (saved.num_tokens, saved.num_cells) != (num_tokens, num_cells):
        raise HrmGymError(
            f"{path} was trained on {saved.config.env}, whose board differs from {config.env}: "
            "--init-from needs a checkpoint of the same board"
        )
    ours = build_reasoner(config, num_tokens, num_cells).state_dict()
    theirs = {name: t.float() for name, t in saved.part("ema").items()}
    if {n: t.shape for n, t in ours.items()} != {n: t.shape for n, t in theirs.items()}:
        raise HrmGymError(
            f"{path} holds a {saved.config.agent!r} agent of other sizes than this run's: "
            "give --agent, --preset and sizes as in its config.json"
        )
    return theirs


class _Stop:
    """Whether the user or the system has asked the run to end; the second time ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> _Stop:
        for number in self._before:
            signal.signal(number, self._ask)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
        signal.signal(number, self._before[signal.Signals(number)])


def train(config: Config, run_dir: Path, saved: Checkpoint | None = None) -> dict[str, Any] | None:
    """Train until the budget, the target or a signal ends the run.

    Args:
        config: complete, as for `Trainer`.
        run_dir: gets `config.json`, TensorBoard events, the checkpoint and, at the end, `result.json`.
        saved: the checkpoint to resume from.

    Returns:
        What `result.json` holds; None where a signal ended the run, which is then ready to be resumed.

    Raises:
        HrmGymError: where something cannot be written or read; the last checkpoint stays whole.
    """
    trainer = Trainer(config, saved)
    path = run_dir / checkpoints.FILE_NAME
    with checkpoints.replacing(run_dir / "config.json") as temporary:
        temporary.write_text(config.to_json() + "\n")
    test = trainer.task.dataset("test")
    held_out = Puzzles(*(a[: config.eval_puzzles] for a in test))
    figures: list[dict[str, Tensor]] = []
    curve: list[dict[str, float]] = []
    num_parameters = sum(p.numel() for p in trainer.agent.parameters())

    with _Stop() as stop, Progress(run_dir, trainer.task, f"{config.env} {config.agent}") as show:
        show.say(
            f"[bold]{config.env}[/]: {config.agent} ({num_parameters:,} parameters, preset {config.preset}) on "
            f"{config.device}, {len(trainer.envs.unwrapped.rules.data.puzzle):,} training puzzles, {run_dir}"
        )
        began = time.monotonic() - trainer.seconds
        reported = evaluated = stored = trainer.seconds
        reached = False
        while not stop.asked and not reached and trainer.progress() < 1.0:
            figures.append(trainer.train_segment())
            trainer.seconds = time.monotonic() - began
            if trainer.seconds - reported >= REPORT_SECONDS:
                _report(trainer, show, figures, trainer.seconds - reported)
                reported, figures = trainer.seconds, []
            if _is_due(trainer, evaluated):
                result = trainer.evaluate(held_out)
                show.evaluation(trainer.step, trainer.seconds, result)
                show.boards(trainer.step, trainer.averaged_agent(), held_out)
                trainer.seconds = time.monotonic() - began
                evaluated = reported = trainer.seconds
                exact = float(result.right.mean())
                curve.append({"step": trainer.step, "seconds": trainer.seconds, "exact_accuracy": exact})
                reached = 0 < config.target_accuracy <= exact
            if trainer.seconds - stored >= 60 * config.save_minutes:
                checkpoints.save(path, trainer.snapshot())
                stored = trainer.seconds
        checkpoints.save(path, trainer.snapshot())
        if stop.asked:
            show.say(f"stopped at step {trainer.step:,}; go on with: python train_agent.py --resume {run_dir}")
            return None

        puzzles = Puzzles(*(a[: config.test_puzzles] for a in test))
        fixed, adaptive = trainer.evaluate(puzzles, "fixed"), trainer.evaluate(puzzles, "learned")
        result = {
            "exact_accuracy": fixed.summary()["exact_accuracy"],
            "cell_accuracy": fixed.cell_accuracy,
            "mean_segments": fixed.summary()["mean_segments"],
            "accuracy_after_segments": [round(float(x), 4) for x in fixed.right_after],
            "learned_halting": {k: adaptive.summary()[k] for k in ("exact_accuracy", "mean_segments")},
            "num_puzzles": len(fixed.right),
            "steps": trainer.step,
            "seconds": round(trainer.seconds, 1),
            "device": config.device,
            "num_parameters": num_parameters,
            "num_training_puzzles": len(trainer.envs.unwrapped.rules.data.puzzle),
            "curve": curve,
            **{name: getattr(config, name) for name in ("env", "agent", "preset", "seed", "max_segments")},
        }
        with checkpoints.replacing(run_dir / "result.json") as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")
        show.settings(dataclasses.asdict(config), result)
        show.evaluation(trainer.step, trainer.seconds, fixed, f"final, {len(fixed.right):,} held out")
        show.say(
            f"halting by itself: {100 * adaptive.right.mean():.1f} % exact in "
            f"{adaptive.segments.mean():.1f} segments on average instead of {config.max_segments}\n"
            f"watch it: python play.py --env {config.env} --checkpoint {run_dir}"
        )
    return result


def _is_due(trainer: Trainer, evaluated: float) -> bool:
    c = trainer.config
    if c.eval_steps:
        return trainer.step % c.eval_steps == 0
    return trainer.seconds - evaluated >= 60 * c.eval_minutes


def _report(trainer: Trainer, show: Progress, figures: list[dict[str, Tensor]], seconds: float) -> None:
    """Bring the figures of the last steps to the host, once for all of them."""
    means = {
        name: float(torch.stack([f[name] for f in figures]).mean()) for name in figures[0] if name != "ended"
    }
    ended = torch.stack([f["ended"] for f in figures]).cpu().numpy()
    ended = ended[ended > 0]
    if len(ended):
        means["episode_segments"] = float(np.mean(ended))
    means["segments_per_second"] = len(figures) * trainer.config.num_envs / seconds
    used = trainer.progress()
    left = trainer.seconds / used - trainer.seconds if used else None
    show.training(trainer.step, means, trainer.seconds, left)
    show.halting(trainer.step, ended)
