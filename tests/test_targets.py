"""The value of continuing learns from three sources; all of them know the same Markov decision process."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from hrm_gym.agents.halting.targets import ExtraPass, MonteCarlo, NextSegment, bellman, make_target
from hrm_gym.agents.models.reasoner import Carry, Output
from hrm_gym.agents.training.config import Config
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.errors import HrmGymError

SOLVED_AT, MOST = 3, 4
CHAIN = Config(agent="hrm", hidden_size=MOST, num_heads=1, num_envs=2, max_segments=MOST, dtype="float32", device="cpu")


def test_bootstrapped_value_is_that_of_the_better_action_and_of_halting_at_the_end():
    q_halt, q_continue = torch.tensor([2.0, 2.0, -1.0]), torch.tensor([3.0, 3.0, -2.0])
    last = torch.tensor([False, True, False])
    expected = torch.tensor([3.0, 2.0, -1.0]).sigmoid()
    assert torch.allclose(bellman(q_halt, q_continue, last), expected)
    assert torch.allclose(bellman(q_halt, q_continue, last, gamma=0.5), expected / 2)
    assert torch.allclose(bellman(q_halt, q_continue, last, cost=0.1), expected - 0.1)
    assert (bellman(q_halt, q_continue, last, cost=0.9) >= 0).all()


class Chain:
    """A model whose state is the segment, one-hot, and whose puzzles are solved from the third segment on."""

    def __init__(self) -> None:
        self.q_head = torch.nn.Linear(MOST, 2)

    def output(self, segment: torch.Tensor) -> tuple[Carry, Output]:
        state = F.one_hot((segment - 1).clamp(max=MOST - 1), MOST).float()
        q = self.q_head(state)
        return Carry(state[:, None], state[:, None]), Output(torch.zeros(0), q[:, 0], q[:, 1])

    def __call__(self, carry: Carry, obs: object) -> tuple[Carry, Output]:
        return self.output(carry.z_h[:, 0].argmax(-1) + 2)


def learned_values(config: Config) -> torch.Tensor:
    """Q(continue) after each segment, learned by slots that halt once they have solved their puzzle."""
    torch.manual_seed(0)
    chain = Chain()
    target = make_target(config, chain.q_head, chain, chain)
    optimizer = torch.optim.Adam(chain.q_head.parameters(), lr=0.05)
    segment = torch.tensor([1, 2])  # the slots are not in step
    for _ in range(1500):
        carry, out = chain.output(segment)
        right = segment >= SOLVED_AT
        halt = F.binary_cross_entropy_with_logits(out.q_halt, right.float(), reduction="sum")
        optimizer.zero_grad()
        (halt + target.loss(carry, {}, out, segment)).backward()
        optimizer.step()
        target.moved_on(carry, segment, right, right)
        segment = torch.where(right, 1, segment + 1)
    with torch.no_grad():
        return chain.output(torch.arange(1, SOLVED_AT))[1].q_continue.sigmoid()


@pytest.mark.parametrize("kind", ["extra_pass", "next_segment", "monte_carlo"])
@pytest.mark.parametrize(("gamma", "cost"), [(1.0, 0.0), (0.8, 0.0), (1.0, 0.15), (0.9, 0.1)])
def test_all_targets_find_the_values_of_the_chain(kind, gamma, cost):
    values = learned_values(dataclasses.replace(CHAIN, halt_target=kind, gamma=gamma, segment_cost=cost))
    after_two = gamma - cost
    after_one = gamma * after_two - cost
    assert torch.allclose(values, torch.tensor([after_one, after_two]), atol=0.03)


def test_the_last_two_leave_the_network_alone_and_the_first_does_not():
    chain = Chain()
    carry, out = chain.output(torch.tensor([2, 2]))
    out = out._replace(q_continue=out.q_continue.detach().requires_grad_())
    for kind, reaches in ((ExtraPass, True), (NextSegment, False), (MonteCarlo, False)):
        argument = chain if kind is ExtraPass else chain.q_head
        target = kind(CHAIN, torch.device("cpu"), argument)
        loss = target.loss(carry, {}, out, torch.tensor([2, 2]))
        (gradient,) = torch.autograd.grad(loss, out.q_continue, allow_unused=True)
        assert (gradient is not None) == reaches


def test_slots_that_ended_are_not_continued():
    chain = Chain()
    target = NextSegment(CHAIN, torch.device("cpu"), chain.q_head)
    carry, out = chain.output(torch.tensor([2, 2]))
    target.moved_on(carry, torch.tensor([2, 2]), torch.tensor([False, False]), torch.tensor([False, True]))
    both = target.loss(*chain.output(torch.tensor([3, 1]))[:1], {}, out, torch.tensor([3, 1]))
    target.moved_on(carry, torch.tensor([2, 2]), torch.tensor([False, False]), torch.tensor([True, True]))
    assert both > 0 and target.loss(carry, {}, out, torch.tensor([1, 1])) == 0


def test_target_network_gives_the_values():
    chain, averaged = Chain(), Chain()
    config = dataclasses.replace(CHAIN, target_network=True)
    carry, out = chain.output(torch.tensor([1, 1]))
    with torch.no_grad():
        for head, bias in ((chain.q_head, 3.0), (averaged.q_head, -3.0)):
            head.weight.zero_()
            head.bias.fill_(bias)
    loss = make_target(config, chain.q_head, chain, averaged).loss(carry, {}, out, torch.tensor([1, 1]))
    own = make_target(CHAIN, chain.q_head, chain, averaged).loss(carry, {}, out, torch.tensor([1, 1]))
    expected = F.binary_cross_entropy_with_logits(out.q_continue, torch.full((2,), -3.0).sigmoid(), reduction="sum")
    assert torch.isclose(loss, expected) and not torch.isclose(loss, own)


@pytest.mark.parametrize("kind", ["next_segment", "monte_carlo"])
def test_training_goes_on_bit_for_bit(kind):
    config = Config(
        env="Sudoku4x4-v0", agent="hrm", preset="tiny", device="cpu", hidden_size=16, num_envs=8, max_segments=4,
        dtype="float32", halt_target=kind, max_steps=100, gamma=0.9,
    )  # fmt: skip
    whole = Trainer(config)
    for _ in range(6):
        whole.train_segment()
    first = Trainer(config)
    for _ in range(3):
        first.train_segment()
    second = Trainer(config, first.snapshot())
    for _ in range(3):
        figures = second.train_segment()
    assert figures["continue_loss"] > 0
    for a, b in zip(whole.agent.parameters(), second.agent.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_classifier_of_correctness_has_no_target():
    assert make_target(dataclasses.replace(CHAIN, halting="halt_only"), torch.nn.Linear(4, 2), Chain(), Chain()) is None
    with pytest.raises(HrmGymError, match="learns no value of continuing"):
        dataclasses.replace(CHAIN, halting="halt_only", halt_target="monte_carlo")
    with pytest.raises(HrmGymError, match="target_network needs halt_target 'extra_pass'"):
        dataclasses.replace(CHAIN, target_network=True, halt_target="next_segment")
    with pytest.raises(HrmGymError, match="segment_cost is -1"):
        dataclasses.replace(CHAIN, segment_cost=-1)
