"""Learning from a segment: losses, clipping, schedule and averaging behind one `step`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hrm_gym.agents.halting.rule import Experience, Signals
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.config import RunOptions
from hrm_gym.agents.state import State
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.losses import answer_loss
from hrm_gym.agents.training.optimizers import Average, SignSGD, learning_rate, make_optimizer
from hrm_gym.errors import HrmGymError, first_line


class Learner:
    """Updates the weights from experience.

    Args:
        config: the run's.
        policy: the policy to train.
        padding: the token of solution cells that the loss ignores (see `Task.padding`).
    """

    def __init__(self, config: RunOptions, policy: Policy, padding: int | None) -> None:
        self.policy = policy
        self.average = Average(config.ema, policy)
        """The averaged weights, used for evaluation and release."""
        self.steps = 0
        """Number of gradient steps done."""
        self._config, self._padding = config, padding
        self._optimizer = make_optimizer(config, policy)
        tables = policy.agent.tables()
        self._table_optimizer = SignSGD(tables, config.table_lr, config.table_weight_decay) if tables else None

    def losses(self, experience: Experience) -> dict[str, Tensor]:
        """The losses of one segment, (B,) each: the answer's, the halting rule's and the agent's own."""
        c, output = self._config, experience.output
        answer = answer_loss(output.logits, experience.solution, c.loss, self._padding, c.label_smoothing)
        if experience.sound is not None:
            answer = answer * experience.sound  # a puzzle without a solution has no answer to learn
        parts = {"answer": answer}
        if (halting := self.policy.halting.loss(experience)) is not None:
            parts["halting"] = halting
        if output.aux_loss is not None:
            parts["aux"] = output.aux_loss
        return parts

    def look_ahead(self, state: State, obs: dict[str, Tensor]) -> Callable[..., Signals]:
        """See `Experience.look_ahead`."""

        def signals(averaged: bool = False) -> Signals:
            model = self.average.policy if averaged else self.policy
            with torch.no_grad():
                return model(state, obs)[2]

        return signals

    def step(self, experience: Experience, progress: float) -> dict[str, Tensor]:
        """One gradient step; returns mean losses, which stay on the device.

        Args:
            experience: that of this process's slots.
            progress: share of the budget used, in [0, 1], which the learning rate follows.
        """
        c = self._config
        rate = learning_rate(c, self.steps, progress)
        weights = {"answer": 1.0, "halting": c.halt_weight, "aux": c.aux_weight}
        losses = self.losses(experience)
        total = sum(weights[name] * loss.sum() for name, loss in losses.items()) / c.num_envs
        self.policy.zero_grad()
        total.backward()  # type: ignore[union-attr]
        parallel.sum_gradients(self.policy)
        if c.clip:
            tables = set(self.policy.agent.tables())
            torch.nn.utils.clip_grad_norm_([p for p in self.policy.parameters() if p not in tables], c.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        self._optimizer.step()
        if self._table_optimizer is not None:
            self._table_optimizer.param_groups[0]["lr"] = c.table_lr * rate / c.lr
            self._table_optimizer.step()
        self.average.update(self.policy)
        self.steps += 1
        means = {f"{name}_loss": loss.detach().mean() for name, loss in losses.items()}
        return {**means, "learning_rate": torch.tensor(rate)}

    # ---- saving ----------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights and the optimizer's state, by name."""
        named = {f"model/{name}": tensor for name, tensor in self.policy.state_dict().items()}
        named |= {f"ema/{name}": tensor for name, tensor in self.average.policy.state_dict().items()}
        for index, state in self._optimizer.state_dict()["state"].items():
            named |= {f"optimizer/{index}/{name}": t for name, t in state.items() if isinstance(t, Tensor)}
        return named

    def counters(self) -> dict[str, Any]:
        """The rest of the state: plain numbers."""
        numbers: dict[str, dict[str, float]] = {}
        for index, state in self._optimizer.state_dict()["state"].items():
            plain = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
            if plain:
                numbers[str(index)] = plain
        return {"step": self.steps, "averaged": self.average.count, "optimizer": numbers}

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Restore the state that `tensors` and `counters` gave.

        Raises:
            HrmGymError: if they belong to another model.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

        try:
            self.policy.load_state_dict(part("model/"))
            self.average.policy.load_state_dict(part("ema/"))
            state: dict[int, dict[str, Any]] = {}
            for key, value in part("optimizer/").items():
                index, name = key.split("/")
                state.setdefault(int(index), {})[name] = value
            for index, numbers in counters["optimizer"].items():
                state.setdefault(int(index), {}).update(numbers)
            groups = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict({"state": state, "param_groups": groups})
            self.average.count, self.steps = counters["averaged"], counters["step"]
        except (RuntimeError, ValueError, KeyError) as error:
            raise HrmGymError(f"the checkpoint does not hold the state of this run ({first_line(error)})") from None
