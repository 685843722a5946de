"""What a training run consists of, and how it is saved and brought back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.checkpoint import Checkpoint
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.saved.sources import find
from hrm_gym.agents.state import State
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.learner import Learner
from hrm_gym.envs.registration import make_task, task_arguments
from hrm_gym.errors import HrmGymError, first_line

Wrap = Callable[[VectorEnv], VectorEnv]


class Trainer:
    """The parts of a run: environments, policy, learner, clock, random numbers.

    Args:
        config: complete (see `presets.resolve`), with a device that exists.
        saved: a checkpoint to go on from.
        wrap: wraps the environments, such as in a wrapper that changes rewards.

    Raises:
        HrmGymError: where the checkpoint is of another version or another run, or something is to grow with a budget
            that there is not.
    """

    def __init__(self, config: Config, saved: Checkpoint | None = None, wrap: Wrap | None = None) -> None:
        _check_budget(config)
        self.config = config
        self.device = torch.device(config.device)
        # Weights, puzzles and exploration each have a seed of their own.
        weights, puzzles, exploration = (
            int(s.generate_state(1)[0]) for s in np.random.SeedSequence(config.seed).spawn(3)
        )
        torch.manual_seed(weights)
        self.generator = torch.Generator(self.device).manual_seed(exploration)
        arguments = task_arguments(config.task_args)
        self.task = make_task(config.env, config.dataset or None, **arguments)
        self.spec = TaskSpec.of(self.task)
        self._learned_puzzles = checkpoints.learned_puzzles(self.task)  # here, and not anew for every checkpoint
        if saved is not None:  # before its sizes take memory
            checkpoints.refuse_misfit(saved, self.spec)
        self.envs = Slots(config, arguments, puzzles, wrap or (lambda envs: envs))
        self.policy = build(config, self.spec)
        if config.init_from and saved is None:
            self.policy.load_state_dict(self._starting_weights())
        self.policy.to(self.device)
        self.policy.halting.begin(self.envs.num, config.max_segments, self.device)
        if config.compile:
            self.policy.agent.compile(dynamic=False, mode="reduce-overhead" if config.cuda_graphs else None)
        self.learner = Learner(config, self.policy, self.task.padding)
        self.curve: list[dict[str, float]] = []
        self.notes: list[str] = []
        """What a person should know about how this run was resumed."""
        self.seconds = 0.0
        self._resumed: tuple[dict[str, Tensor], State] | None = None
        if saved is not None:
            try:
                self._resumed = self._restore(saved)
            except KeyError as error:
                raise HrmGymError(
                    f"the checkpoint has no {error}: another version of hrm-gym wrote it; start a new run from its "
                    "weights with --init-from"
                ) from None
            except HrmGymError:
                raise
            except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
                raise HrmGymError(f"the checkpoint does not hold the state of a run ({first_line(error)})") from None
        self._began = time.monotonic() - self.seconds

    # ---- the clock -------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds by this process's own clock; unlike `tick` it waits for no other process."""
        return time.monotonic() - self._began

    def tick(self, *flags: bool) -> list[bool]:
        """Look at the clock; returns which `flags` are raised in any process."""
        if self.config.cuda_graphs:  # a step begins: what the graphs gave in the one before may be overwritten
            torch.compiler.cudagraph_mark_step_begin()
        self.seconds, raised = parallel.agree(self.elapsed, *flags)
        self._grow()
        return raised

    def _grow(self) -> None:
        """Puzzles and agents as they are to be now, both by the share of the budget that is used."""
        self.envs.grow(self.progress)
        for policy in (self.policy, self.learner.average.policy):
            policy.agent.grow(self.progress)

    @property
    def progress(self) -> float:
        """Share of the budget used, in [0, 1], which the learning rate follows.

        It is that of the steps where they are limited, else that of the minutes.
        """
        c = self.config
        if c.max_steps:
            return min(1.0, self.learner.steps / c.max_steps)
        return min(1.0, self.seconds / (60 * c.max_minutes)) if c.max_minutes else 0.0

    @property
    def is_over(self) -> bool:
        """Whether the budget of steps or of minutes is used up."""
        c = self.config
        out_of_time = 0 < 60 * c.max_minutes <= self.seconds
        return out_of_time or 0 < c.max_steps <= self.learner.steps

    # ---- the lines of the loop -------------------------------------------------------------------

    def start(self) -> tuple[dict[str, Tensor], State]:
        """Observations and states of this process's slots: fresh ones, or those of the checkpoint."""
        resumed, self._resumed = self._resumed, None
        self._grow()
        return resumed or (self.envs.reset(), self.initial_state())

    def initial_state(self) -> State:
        """States that have thought nothing yet, with noise where it is asked for."""
        if not self.config.initial_noise:
            return self.policy.initial_state(self.envs.num)
        # Drawn for all slots: the same in any number of processes.
        whole = self.policy.initial_state(self.config.num_envs)
        return nests.take(nests.perturb(whole, self.config.initial_noise, self.generator), self.envs.own)

    def act(self, output: Output, signals: Signals, segment: Tensor) -> tuple[Tensor, Tensor]:
        """The answers so far, (B, L), and whether to halt, bool (B,), with exploration."""
        rule = self.policy.halting
        shape = (self.config.num_envs, rule.num_uniforms)
        uniforms = torch.rand(shape, generator=self.generator, device=self.device)[self.envs.own]
        with torch.no_grad():
            return output.logits.argmax(-1), rule.explore(signals, segment, uniforms)

    def look_ahead(self, state: State, obs: dict[str, Tensor]) -> Callable[[bool], Signals]:
        """See `Experience.look_ahead`."""

        def signals(averaged: bool) -> Signals:
            model = self.learner.average.policy if averaged else self.policy
            with torch.no_grad():
                return model(state, obs)[2]

        return signals

    # ---- saving ----------------------------------------------------------------------------------

    def snapshot(self, state: State) -> Checkpoint:
        """All of the run's state, that of all processes together: each of them must call this."""
        tensors = self.learner.tensors()
        tensors |= {f"state/{name}": parallel.gather(z) for name, z in nests.items(state)}
        tensors |= {f"envs/{name}": t for name, t in self.envs.state_dict().items()}
        tensors |= {f"memory/{name}": parallel.gather(t) for name, t in self.policy.halting.memory.items()}
        tensors |= {"random/torch": torch.get_rng_state(), "random/exploration": self.generator.get_state()}
        counters = {**self.learner.counters(), "seconds": self.seconds, "curve": self.curve}
        counters |= {**self._learned_puzzles, "device": self.device.type}
        counters |= {"threads": torch.get_num_threads()}
        return Checkpoint(self.config, self.spec, counters, tensors)

    def _restore(self, saved: Checkpoint) -> tuple[dict[str, Tensor], State]:
        """Go on from a checkpoint: the observations and states of this process's slots as they stood."""
        checkpoints.refuse_other_puzzles(saved, self.task, "the run")
        self.learner.restore(saved.tensors, saved.counters)
        memory, rule = saved.part("memory"), self.policy.halting
        if set(memory) != set(rule.memory):
            raise HrmGymError("the checkpoint does not hold what this run's halting rule remembers")
        for name, old in rule.memory.items():
            kept = memory[name][self.envs.own]
            if kept.shape != old.shape:
                shapes = f"{name} has shape {tuple(kept.shape)}, not {tuple(old.shape)}"
                raise HrmGymError(f"the checkpoint does not hold what this run's halting rule remembers ({shapes})")
            rule.memory[name] = kept.to(old)
        self.curve = saved.counters["curve"]
        if saved.counters["device"] == self.device.type:
            self.generator.set_state(saved.tensors["random/exploration"])
        else:  # the state of one device's generator means nothing to another's
            self.generator.manual_seed(self.config.seed + self.learner.steps)
            self.notes.append(
                f"resumed on {self.device.type} what {saved.counters['device']} began: no longer bit for bit, since "
                "each device has random numbers and rounding of its own"
            )
        threads, now = saved.counters.get("threads"), torch.get_num_threads()  # older checkpoints do not say
        if threads not in (None, now) and self.device.type == "cpu" == saved.counters["device"]:
            self.notes.append(
                f"resumed with {now} threads of torch what {threads} began: no longer bit for bit, since sums "
                f"are added in another order; OMP_NUM_THREADS={threads} keeps it exact"
            )
        self.seconds = float(saved.counters["seconds"])
        obs = self.envs.load_state_dict(saved.part("envs"))
        of_slots = {name: tensor[self.envs.own] for name, tensor in saved.part("state").items()}
        # Without noise, which would be drawn in vain.
        state = nests.restore(self.policy.initial_state(self.envs.num), of_slots)
        # An agent's own random numbers, such as dropout's; last, since its initial state may be random, too.
        torch.set_rng_state(saved.tensors["random/torch"])
        return obs, state

    def _starting_weights(self) -> dict[str, Tensor]:
        path = Path(self.config.init_from)
        saved = checkpoints.load(find(path))
        if not type(self.policy.agent).fits(saved.spec, self.spec):
            raise HrmGymError(
                f"{path} was trained on {saved.config.env}, whose board differs from {self.config.env}: "
                "--init-from needs a checkpoint of the same board"
            )
        theirs = {name: t.float() for name, t in saved.part("ema").items()}
        if saved.config.halting != self.config.halting:  # another rule begins anew, on the agent that there is
            theirs = {name: t for name, t in theirs.items() if name.startswith("agent.")}
            theirs |= {f"halting.{name}": t for name, t in self.policy.halting.state_dict().items()}
        ours = {name: t.shape for name, t in self.policy.state_dict().items()}
        if ours != {name: t.shape for name, t in theirs.items()}:
            raise HrmGymError(
                f"{path} holds a {saved.config.agent!r} agent of other sizes than this run's: "
                "give --agent, --halting, --preset and sizes as in its config.json"
            )
        return theirs


def _check_budget(config: Config) -> None:
    growing = {"curriculum": config.curriculum, "growth": getattr(config.agent_options, "growth", 0)}
    for name, value in growing.items():
        if value and not (config.max_steps or config.max_minutes):
            raise HrmGymError(
                f"{name} is {value}, a share of the budget, and this run has none: give --max-minutes or --max-steps"
            )


EASIEST = 0.1
"""The share of the puzzles that a curriculum begins with."""


class Slots:
    """The slots of this process in the run's batch of environments.

    Every process steps the environments of all slots (see `parallel`), and sees its own.

    Args:
        config: the run's.
        arguments: of the puzzle family.
        seed: of the puzzles.
        wrap: wraps the environments.
    """

    def __init__(self, config: Config, arguments: dict[str, Any], seed: int, wrap: Wrap) -> None:
        self.own = parallel.local_slots(config.num_envs)
        self.num = self.own.stop - self.own.start
        """Slots of this process."""
        self._seed = seed
        self._curriculum = config.curriculum
        self._envs: Any = wrap(
            gym.make_vec(
                f"hrm_gym:{config.env}",
                num_envs=config.num_envs,
                device=config.device,
                autoreset_mode="SameStep",
                **config.env_options(),
                ranked=config.curriculum > 0,
                # Nothing is learned from their number, and to count them in a large maze takes longer than to think.
                count_violations=False,
                **arguments,
            )
        )
        self._solution: Tensor

    @property
    def num_puzzles(self) -> int:
        """Puzzles that are drawn from, not counting symmetric images."""
        return self._envs.unwrapped.rules.num_puzzles

    def reset(self) -> dict[str, Tensor]:
        """Fresh puzzles in all slots; their observations."""
        return self._seen(*self._envs.reset(seed=self._seed))

    def grow(self, progress: float) -> None:
        """Draw new puzzles from the share that the curriculum allows after `progress`, in [0, 1]."""
        if self._curriculum:
            self._envs.unwrapped.rules.easiest = min(1.0, EASIEST + (1 - EASIEST) * progress / self._curriculum)

    def step(
        self, obs: dict[str, Tensor], answer: Tensor, halt: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Any], Tensor]:
        """Submit answers, (B, L), and halt or continue, bool (B,).

        Returns:
            The next observations, the fields of `Experience` that the environment fills, and the share of right cells.
        """
        solution = self._solution  # before finished slots get their next puzzle
        action = torch.cat((answer, halt.long().unsqueeze(1)), dim=1)  # (B, L + 1)
        after, reward, terminated, truncated, info = self._envs.step(parallel.gather(action))
        graded = info["final_info"]  # of all slots, as they were before finished ones were reset
        told = {
            "obs": obs,
            "segment": obs["segment"] + 1,
            "halted": halt,
            "reward": reward[self.own],
            "ended": (terminated | truncated)[self.own],
            "right": graded["is_success"][self.own],
            "solution": solution,
            "sound": self._sound(obs["puzzle"], solution),
        }
        return self._seen(after, info), told, graded["cell_accuracy"][self.own]

    def state_dict(self) -> dict[str, Tensor]:
        """Of the environments of all slots."""
        return self._envs.unwrapped.state_dict()

    def load_state_dict(self, saved: dict[str, Tensor]) -> dict[str, Tensor]:
        """Go on from it; the observations as they stand."""
        return self._seen(*self._envs.unwrapped.load_state_dict(saved))

    def _sound(self, puzzle: Tensor, solution: Tensor) -> Tensor | None:
        """Whether no guess among the givens is wrong, bool (B,); None where none are made."""
        rules = self._envs.unwrapped.rules
        if not rules.options.guesses:
            return None
        return ~(rules.task.is_given(puzzle) & (puzzle != solution)).any(1)

    def _seen(self, obs: dict[str, Tensor], info: dict[str, Tensor]) -> dict[str, Tensor]:
        self._solution = info["solution"][self.own]
        return {name: array[self.own] for name, array in obs.items()}
