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
from collections import defaultdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from hrm_gym.agents.halting.policy import learned, minimum_segments
from hrm_gym.agents.halting.targets import make_target
from hrm_gym.agents.inference.evaluator import Evaluation, evaluate
from hrm_gym.agents.models.reasoner import Carry, Reasoner
from hrm_gym.agents.registry import build_reasoner
from hrm_gym.agents.training import checkpoint as checkpoints
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.checkpoint import Checkpoint
from hrm_gym.agents.training.config import Config
from hrm_gym.agents.training.losses import segment_losses
from hrm_gym.agents.training.optimizers import SignSGD, learning_rate, make_average, make_optimizer
from hrm_gym.envs.registration import make_task, task_arguments
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError


class Trainer:
    """A run: everything that changes while it learns, and how one step changes it.

    Args:
        config: complete (see `registry.defaults`), with a device that exists.
        saved: a checkpoint to go on from.

    Raises:
        HrmGymError: where the checkpoint is another version's.
    """

    def __init__(self, config: Config, saved: Checkpoint | None = None):
        torch.manual_seed(config.seed)
        arguments = task_arguments(config.task_args)
        self.task = make_task(config.env, config.dataset or None, **arguments)
        if self.task.num_identities:
            config = dataclasses.replace(config, num_puzzles=self.task.num_identities)
        self.config = config
        self.device = torch.device(config.device)
        self.own = parallel.own(config.num_envs)
        num_own = self.own.stop - self.own.start
        self.envs: Any = gym.make_vec(
            f"hrm_gym:{config.env}" if ":" not in config.env else config.env,
            num_envs=config.num_envs,
            device=config.device,
            autoreset_mode="SameStep",
            max_segments=config.max_segments,
            num_examples=config.num_examples or None,
            dataset=config.dataset or None,
            augment=config.augment,
            # Nothing is learned from them, and in a 30x30 maze they take four times as many operators as the network.
            count_violations=False,
            **arguments,
        )
        self.agent: Reasoner = build_reasoner(config, self.task.num_tokens, self.task.shape)
        if config.init_from:
            self.agent.load_state_dict(_starting_weights(config, self.task.num_tokens, self.task.shape))
        self.agent.to(self.device)
        self.model = torch.compile(self.agent, dynamic=False) if config.compile else self.agent
        self.average = make_average(config, self.agent)
        # Rows of the puzzle embedding are touched too seldom to be averaged: both models share them.
        self.averaged_agent().embed_puzzle = self.agent.embed_puzzle
        self.optimizer = make_optimizer(config, self.agent)
        self.embedding_optimizer: SignSGD | None = None
        if (table := self.agent.embed_puzzle) is not None:
            self.embedding_optimizer = SignSGD([table.weight], config.puzzle_lr, config.puzzle_weight_decay)
        mine = dataclasses.replace(config, num_envs=num_own)
        self.target = make_target(mine, self.agent.q_head, self.model, self.averaged_agent())
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.step = 0
        self.seconds = 0.0
        self.curve: list[dict[str, float]] = []
        self._show(*self.envs.reset(seed=config.seed))
        self.carry: Carry = self._noisy() or self.agent.initial_carry(num_own)
        if saved is not None:
            try:
                self._restore(saved)
            except KeyError as error:
                raise HrmGymError(
                    f"the checkpoint has no {error}: another version of hrm-gym wrote it; start a new run from its "
                    "weights with --init-from"
                ) from None

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
            group["lr"] = rate * group.get("lr_scale", 1.0)

        carry, out = self.model(self.carry, self.obs)
        segment = self.obs["segment"] + 1
        keep_on = None if self.target is None else self.target.loss(carry, self.obs, out, segment)
        answer = out.logits.argmax(-1)
        match = self.task.match(self.solution, answer)
        losses = segment_losses(out, self.solution, match.right, keep_on, c.loss, self.task.padding, c.label_smoothing)
        self.agent.zero_grad()
        (losses.total(c.halt_weight) / c.num_envs).backward()
        parallel.sum_gradients(self.agent)
        if c.clip:
            dense = (p for name, p in self.agent.named_parameters() if not name.startswith("embed_puzzle"))
            torch.nn.utils.clip_grad_norm_(dense, c.clip)
        self.optimizer.step()
        if self.embedding_optimizer is not None:
            self.embedding_optimizer.param_groups[0]["lr"] = c.puzzle_lr * rate / c.lr
            self.embedding_optimizer.step()
        self.average.update_parameters(self.agent)
        self.step += 1

        with torch.no_grad():
            minimum = minimum_segments(c, c.num_envs, self.generator, self.device)[self.own]
            halt = learned(out, c.halting) & (segment >= minimum)
            action = torch.cat((answer, halt.long().unsqueeze(1)), dim=1)  # (B, L + 1)
            obs, _, terminated, truncated, info = self.envs.step(parallel.gather(action))
            self._show(obs, info)
            done = (terminated | truncated)[self.own]
            if self.target is not None:
                self.target.moved_on(carry, segment, match.right, done)
            self.carry = self.agent.reset(carry, done, self._noisy())
        num = len(answer)  # of several processes each tells about its own slots
        return {
            "answer_loss": losses.answer.detach() / num,
            "halt_loss": losses.halt.detach() / num,
            "continue_loss": losses.keep_on.detach() / num,
            "exact_accuracy": match.right.float().mean(),
            "cell_accuracy": match.cell_accuracy.mean(),
            "q_says_right": out.q_halt.detach().sigmoid().mean(),
            "q_continue": out.q_continue.detach().sigmoid().mean(),
            "learning_rate": torch.tensor(rate),
            "ended": torch.where(done, segment, 0),
        }

    def _show(self, obs: dict[str, Tensor], info: dict[str, Tensor]) -> None:
        """What this process sees of the environments of all slots: its own."""
        self.obs = {name: array[self.own] for name, array in obs.items()}
        self.solution = info["solution"][self.own]

    def _noisy(self) -> Carry | None:
        """Initial states with noise where it is asked for, drawn for all slots: the same in any number of processes."""
        c = self.config
        if not c.initial_noise:
            return None
        return Carry(*(z[self.own] for z in self.agent.initial_carry(c.num_envs, c.initial_noise, self.generator)))

    @property
    def num_training_puzzles(self) -> int:
        """Puzzles that the environments draw from, not counting symmetric images."""
        return self.envs.unwrapped.rules.num_puzzles

    def evaluate(self, puzzles: Puzzles, halting: str = "fixed") -> Evaluation:
        """The averaged weights on held-out puzzles."""
        most = self.config.max_segments
        return evaluate(self.averaged_agent(), self.task, puzzles, max_segments=most, halting=halting)

    def averaged_agent(self) -> Reasoner:
        """The model with averaged weights."""
        agent: Any = self.average.module
        return agent.eval()

    # ---- saving ----------------------------------------------------------------------------------

    def snapshot(self) -> Checkpoint:
        """All of the run's state, that of all processes together: each of them must call this."""
        tensors = {f"model/{name}": t for name, t in self.agent.state_dict().items()}
        average = self.average.module.state_dict()
        # The file holds each tensor on its own, and both models share the puzzle embedding.
        tensors |= {f"ema/{name}": t.clone() if name.startswith("embed_puzzle") else t for name, t in average.items()}
        numbers: dict[str, dict[str, float]] = {}
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer/{index}/{name}"] = value
                else:
                    numbers.setdefault(str(index), {})[name] = value
        tensors |= {f"carry/{name}": parallel.gather(z) for name, z in self.carry._asdict().items()}
        tensors |= {f"envs/{name}": t for name, t in self.envs.unwrapped.state_dict().items()}
        if self.target is not None:
            tensors |= {f"target/{name}": parallel.gather(t) for name, t in self.target.state_dict().items()}
        tensors |= {"random/torch": torch.get_rng_state(), "random/exploration": self.generator.get_state()}
        counters = {
            "step": self.step,
            "seconds": self.seconds,
            "averaged": self.average.n_averaged,
            "optimizer": numbers,
            "curve": self.curve,
            "identities": self.task.identities,
        }
        return Checkpoint(self.config, self.task.num_tokens, self.task.shape, counters, tensors)

    def _restore(self, saved: Checkpoint) -> None:
        self.agent.load_state_dict(saved.part("model"))
        self.average.module.load_state_dict(saved.part("ema"))
        self.average.n_averaged = saved.counters["averaged"]
        state: dict[int, dict[str, Any]] = defaultdict(dict)
        for key, value in saved.part("optimizer").items():
            index, name = key.split("/")
            state[int(index)][name] = value
        for index, numbers in saved.counters["optimizer"].items():
            state[int(index)].update(numbers)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
        self.carry = Carry(*(saved.part("carry")[name][self.own].to(self.device) for name in ("z_h", "z_l")))
        self._show(*self.envs.unwrapped.load_state_dict(saved.part("envs")))
        if self.target is not None:
            self.target.load_state_dict({name: t[self.own] for name, t in saved.part("target").items()})
        torch.set_rng_state(saved.tensors["random/torch"])
        self.generator.set_state(saved.tensors["random/exploration"])
        self.step, self.seconds = saved.counters["step"], saved.counters["seconds"]
        self.curve = saved.counters["curve"]


def _starting_weights(config: Config, num_tokens: int, shape: tuple[int, int]) -> dict[str, Tensor]:
    path = Path(config.init_from)
    saved = checkpoints.load(path)
    if (saved.num_tokens, saved.shape) != (num_tokens, shape):
        raise HrmGymError(
            f"{path} was trained on {saved.config.env}, whose board differs from {config.env}: "
            "--init-from needs a checkpoint of the same board"
        )
    ours = build_reasoner(config, num_tokens, shape).state_dict()
    theirs = {name: t.float() for name, t in saved.part("ema").items()}
    if {n: t.shape for n, t in ours.items()} != {n: t.shape for n, t in theirs.items()}:
        raise HrmGymError(
            f"{path} holds a {saved.config.agent!r} agent of other sizes than this run's: "
            "give --agent, --preset and sizes as in its config.json"
        )
    return theirs
