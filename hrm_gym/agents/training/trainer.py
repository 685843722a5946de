"""The state of a training run, and how it is saved and restored."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.registry import agent_class
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.checkpoint import Checkpoint
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.saved.sources import find
from hrm_gym.agents.state import State
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.course import stages
from hrm_gym.agents.training.learner import Learner
from hrm_gym.agents.training.local_envs import LocalEnvs, Wrap
from hrm_gym.agents.training.trial import try_out
from hrm_gym.envs.guesses import check_guesses, check_hints
from hrm_gym.envs.registration import make_task, task_arguments
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, first_line


class Trainer:
    """The parts of a run: environments, policy, learner, clock and random numbers.

    Args:
        config: a complete configuration (see `presets.resolve`) with an existing device.
        saved: the checkpoint to resume from.
        wrap: wraps the environments, for example to change rewards.

    Raises:
        HrmGymError: if the checkpoint is of another version or run, or if an option depends on a budget and there is
            none.
    """

    def __init__(self, config: Config, saved: Checkpoint | None = None, wrap: Wrap | None = None) -> None:
        _check_budget(config)
        self.stages = stages(config)
        self.whole = config
        """The run's configuration; `config` is that of the current stage."""
        self.device = torch.device(config.device)
        # Weights, puzzles and exploration have separate seeds.
        weights, self._puzzle_seed, exploration = (
            int(s.generate_state(1)[0]) for s in np.random.SeedSequence(config.seed).spawn(3)
        )
        torch.manual_seed(weights)
        self.generator = torch.Generator(self.device).manual_seed(exploration)
        self.task = make_task(config.env, config.dataset or None, **task_arguments(config.task_args))
        """The puzzle family of the last stage; all evaluations use it."""
        self.spec = TaskSpec.of(self.task)
        self._refuse_stages()
        self._learned_puzzles = checkpoints.learned_puzzles(self.task)  # computed once, not for every checkpoint
        self.stage = 0 if saved is None else min(int(saved.counters.get("stage", 0)), len(self.stages) - 1)
        """The number of the current stage, from 0."""
        self.changes = 0
        """How often a new stage or a growing agent has changed the computation of a step."""
        self._wrap = wrap
        if saved is not None:  # check it before allocating by its sizes
            checkpoints.refuse_misfit(saved, self.config, TaskSpec.of(self._task_of(self.config)))
        self.envs, self.policy, self.learner = self._built(fresh=saved is None)
        self.curve: list[dict[str, float]] = []
        self.notes: list[str] = []
        """Notes for the user about how this run was resumed."""
        self.seconds = 0.0
        if saved is None:
            self.obs, self.agent_state = self._begun()
        else:
            try:
                self.obs, self.agent_state = self._restore(saved)
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
        self._grow()

    # ---- stages ----------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The run's configuration in the current stage."""
        return self.stages[self.stage].config

    def _built(self, fresh: bool = False) -> tuple[LocalEnvs, Policy, Learner]:
        """Environments, policy and learner of the current stage; a `fresh` policy starts from `--init-from`."""
        config, task = self.config, self._task_of(self.config)
        envs = LocalEnvs(config, self._puzzle_seed, self._wrap)
        policy = build(config, TaskSpec.of(task))
        if fresh and config.init_from:
            policy.load_state_dict(self._starting_weights(policy))
        policy.to(self.device)
        try_out(policy, envs, config.max_segments)
        policy.halting.begin(envs.num, config.max_segments, self.device)
        if config.compile:
            policy.agent.compile(dynamic=False, mode="reduce-overhead" if config.cuda_graphs else None)
        return envs, policy, Learner(config, policy, task.padding)

    def _refuse_stages(self) -> None:
        """Refuse a course with a stage that cannot run, before the first one begins.

        Raises:
            HrmGymError: naming what is wrong in which stage.
        """
        for number, stage in enumerate(self.stages, 1):
            config = stage.config
            try:
                task = self._task_of(config)
                check_hints(config.hints, task, "train")
                check_guesses(config.guesses, task, "train")
                parallel.local_slots(config.num_envs)
                fits = agent_class(config.agent).fits(TaskSpec.of(task), self.spec)
            except HrmGymError as error:
                raise HrmGymError(f"stage {number} of the course: {error}" if config.course else str(error)) from None
            if not fits:
                raise HrmGymError(
                    f"course is {config.course!r}: agent {config.agent!r} has weights for one size of board, so it "
                    f"cannot go on from {config.env} to {self.whole.env}; leave the course out or choose another "
                    "--agent"
                )

    def _task_of(self, config: Config) -> Task:
        """The puzzle family of a stage."""
        if self._is_last(config):
            return self.task
        return make_task(config.env, config.dataset or None, **task_arguments(config.task_args))

    def _is_last(self, config: Config) -> bool:
        """Whether a stage has the puzzle family of the last one."""
        last = self.whole
        return (config.env, config.task_args, config.dataset) == (last.env, last.task_args, last.dataset)

    def _advance(self) -> None:
        """Enter the stage that is due: new puzzles in all slots, the same learner."""
        before = self.learner
        if self.config.compile:
            torch.compiler.reset()  # code for other boards would count against the compiler's limit
        with torch.random.fork_rng(devices=[]):  # these weights are replaced at once
            self.envs, self.policy, self.learner = self._built()
        self.learner.restore(before.tensors(), before.counters())
        self.changes += 1
        self.obs, self.agent_state = self._begun()

    def judged(self) -> Policy:
        """The averaged weights as a policy for the puzzles of the last stage."""
        average = self.learner.average.policy
        if self._is_last(self.config):
            return average
        with torch.random.fork_rng(devices=[]):
            policy = build(self.whole, self.spec).to(self.device).eval()
        policy.load_state_dict(average.state_dict())
        policy.agent.grow(self.progress)
        return policy

    # ---- the clock -------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds on this process's own clock; unlike `tick`, this waits for no other process."""
        return time.monotonic() - self._began

    def tick(self, *flags: bool) -> list[bool]:
        """Update the clock; returns which `flags` are raised in any process."""
        self.seconds, raised = parallel.agree(self.elapsed, *flags)
        return raised

    def prepare(self) -> None:
        """Set stage, curriculum and growth of the agents to match the progress of the run."""
        if self.config.cuda_graphs:  # allow overwriting the outputs of the previous step
            torch.compiler.cudagraph_mark_step_begin()
        due = sum(stage.begins <= self.progress for stage in self.stages) - 1
        if due > self.stage:
            self.stage = due
            self._advance()
        self._grow()

    def _grow(self) -> None:
        """Set puzzles and agents to the used share of the budget."""
        self.envs.grow(self.progress)
        self.learner.average.policy.agent.grow(self.progress)
        if self.policy.agent.grow(self.progress):
            self.changes += 1

    @property
    def progress(self) -> float:
        """Share of the budget used, in [0, 1], which the learning rate follows.

        Counted in steps if they are limited, else in minutes.
        """
        c = self.whole
        if c.max_steps:
            return min(1.0, self.learner.steps / c.max_steps)
        return min(1.0, self.seconds / (60 * c.max_minutes)) if c.max_minutes else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the budget is used up, at the speed so far; None if there is no budget."""
        c, left = self.whole, list[float]()
        if c.max_minutes:
            left.append(max(0.0, 60 * c.max_minutes - self.seconds))
        if c.max_steps and self.learner.steps:
            left.append(max(0.0, self.seconds * (c.max_steps / self.learner.steps - 1)))
        return min(left, default=None)

    @property
    def is_over(self) -> bool:
        """Whether the budget of steps or of minutes is used up."""
        c = self.whole
        out_of_time = 0 < 60 * c.max_minutes <= self.seconds
        return out_of_time or 0 < c.max_steps <= self.learner.steps

    # ---- parts of the loop -----------------------------------------------------------------------

    def _begun(self) -> tuple[dict[str, Tensor], State]:
        """New puzzles and initial states in all slots of this process."""
        self.envs.grow(self.progress)
        return self.envs.reset(), self.initial_state()

    def initial_state(self) -> State:
        """Initial states, with noise if configured."""
        if not self.config.initial_noise:
            return self.policy.initial_state(self.envs.num)
        # Drawn for all slots, so that the number of processes does not matter.
        whole = self.policy.initial_state(self.config.num_envs)
        return nests.take(self.policy.perturbed(whole, self.config.initial_noise, self.generator), self.envs.own)

    def act(self, output: Output, signals: Signals, segment: Tensor) -> tuple[Tensor, Tensor]:
        """The current answers, (B, L), and decisions with exploration, int64 (B,): see `HaltingRule.explore`."""
        rule = self.policy.halting
        shape = (self.config.num_envs, rule.num_uniforms)
        uniforms = torch.rand(shape, generator=self.generator, device=self.device)[self.envs.own]
        with torch.no_grad():
            return output.logits.argmax(-1), rule.explore(signals, segment, uniforms).long()

    # ---- saving ----------------------------------------------------------------------------------

    def snapshot(self) -> Checkpoint:
        """The whole state of the run, gathered from all processes; each of them must call this."""
        tensors = self.learner.tensors()
        tensors |= {f"state/{name}": parallel.gather(z) for name, z in nests.items(self.agent_state)}
        tensors |= {f"envs/{name}": t for name, t in self.envs.state_dict().items()}
        tensors |= {f"memory/{name}": parallel.gather(t) for name, t in self.policy.halting.memory.items()}
        tensors |= {"random/torch": torch.get_rng_state(), "random/exploration": self.generator.get_state()}
        counters = {**self.learner.counters(), "seconds": self.seconds, "curve": self.curve}
        counters |= {**self._learned_puzzles, "device": self.device.type}
        counters |= {"threads": torch.get_num_threads(), "stage": self.stage}
        return Checkpoint(self.whole, self.spec, counters, tensors)

    def _restore(self, saved: Checkpoint) -> tuple[dict[str, Tensor], State]:
        """Restore a checkpoint; returns the observations and states of this process's slots."""
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
        else:  # generator states do not transfer between kinds of device
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
        # The state without noise: it serves only as a template.
        state = nests.restore(self.policy.initial_state(self.envs.num), of_slots)
        # Torch's generator serves agents (dropout). Restored last, because an initial state may draw from it, too.
        torch.set_rng_state(saved.tensors["random/torch"])
        return obs, state

    def _starting_weights(self, policy: Policy) -> dict[str, Tensor]:
        """The weights of `--init-from` for a new policy."""
        path = Path(self.whole.init_from)
        saved = checkpoints.load(find(path))
        if not type(policy.agent).fits(saved.spec, self.spec):
            raise HrmGymError(
                f"{path} was trained on {saved.config.env}, whose board differs from {self.whole.env}: "
                "--init-from needs a checkpoint of the same board"
            )
        theirs = {name: t.float() for name, t in saved.part("ema").items()}
        rule = {f"halting.{name}": t for name, t in policy.halting.state_dict().items()}
        same = saved.config.halting == self.config.halting and all(
            name in theirs and theirs[name].shape == t.shape for name, t in rule.items()
        )
        if not same:  # another rule, or other signals: keep the agent's weights, start the rule untrained
            theirs = {name: t for name, t in theirs.items() if name.startswith("agent.")} | rule
        ours = {name: t.shape for name, t in policy.state_dict().items()}
        if ours != {name: t.shape for name, t in theirs.items()}:
            raise HrmGymError(
                f"{path} holds a {saved.config.agent!r} agent of other sizes than this run's: "
                "give --agent, --halting, --preset and sizes as in its config.json"
            )
        return theirs


def _check_budget(config: Config) -> None:
    growing = {"curriculum": config.curriculum}
    if option := agent_class(config.agent).growth_option:
        growing[option] = getattr(config.agent_options, option)
    for name, value in growing.items():
        if value and not (config.max_steps or config.max_minutes):
            raise HrmGymError(
                f"{name} is {value}, a share of the budget, and this run has none: give --max-minutes or --max-steps"
            )
