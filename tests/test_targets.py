"""The value of continuing learns from three sources; all of them know the same Markov decision process."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from loop import Loop, tiny

from hrm_gym.agents.agent import Output
from hrm_gym.agents.halting.classifier import Classifier, ClassifierConfig
from hrm_gym.agents.halting.q_learning import QLearning, QLearningConfig
from hrm_gym.agents.halting.rule import Experience, halting_errors
from hrm_gym.errors import HrmGymError

SOLVED_AT, MOST = 3, 4
TARGETS = ("extra_pass", "next_segment", "monte_carlo")
every_target = pytest.mark.parametrize("kind", TARGETS)


def features(segment):
    """The state of the chain: the segment, one-hot, (B, MOST)."""
    return F.one_hot((segment - 1).clamp(max=MOST - 1), MOST).float()


def output(segment):
    return Output(torch.zeros(len(segment), 0), features(segment))


def q_learning(slots=2, **options):
    torch.manual_seed(0)
    rule = QLearning(QLearningConfig(**options), MOST)
    torch.nn.init.normal_(rule.head.weight)
    rule.begin(slots, MOST, torch.device("cpu"))
    return rule


def chain(rule, segment, halted=None, cost=0.0, averaged=None):
    """What the environment tells of a segment in a chain whose puzzles are solved from the third segment on."""
    right = segment >= SOLVED_AT
    halted = torch.zeros_like(right) if halted is None else halted
    ended = halted | (segment >= MOST)
    out = output(segment)

    def look_ahead(of_averaged):
        with torch.no_grad():
            return (averaged if of_averaged else rule).read(output(segment + 1))

    return Experience(
        obs={},
        output=out,
        signals=rule.read(out),
        segment=segment,
        halted=halted,
        reward=torch.where(ended, right.float(), -cost),
        ended=ended,
        right=right,
        solution=torch.zeros(len(segment), 0, dtype=torch.long),
        look_ahead=look_ahead,
    )


def test_bootstrapped_value_is_that_of_the_better_action_and_of_halting_at_the_end():
    following = {"q_halt": torch.tensor([2.0, 2.0, -1.0]), "q_continue": torch.tensor([3.0, 3.0, -2.0])}
    last, free = torch.tensor([False, True, False]), torch.zeros(3)
    expected = torch.tensor([3.0, 2.0, -1.0]).sigmoid()
    assert torch.allclose(q_learning()._bootstrapped(following, last, free), expected)
    assert torch.allclose(q_learning(gamma=0.5)._bootstrapped(following, last, free), expected / 2)
    assert torch.allclose(q_learning()._bootstrapped(following, last, free - 0.1), expected - 0.1)
    assert (q_learning()._bootstrapped(following, last, free - 0.9) >= 0).all()


def learned_values(cost, **options):
    """Q(continue) after each segment, learned by slots that halt once they have solved their puzzle."""
    rule = q_learning(**options)
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.05)
    segment = torch.tensor([1, 2])  # the slots are not in step
    for _ in range(1500):
        experience = chain(rule, segment, halted=segment >= SOLVED_AT, cost=cost)
        optimizer.zero_grad()
        rule.loss(experience).sum().backward()
        optimizer.step()
        segment = torch.where(experience.ended, 1, segment + 1)
    with torch.no_grad():
        return rule.read(output(torch.arange(1, SOLVED_AT)))["q_continue"].sigmoid()


@every_target
@pytest.mark.parametrize(("gamma", "cost"), [(1.0, 0.0), (0.8, 0.0), (1.0, 0.15), (0.9, 0.1)])
def test_all_targets_find_the_values_of_the_chain(kind, gamma, cost):
    values = learned_values(cost, halt_target=kind, gamma=gamma)
    after_two = gamma - cost
    after_one = gamma * after_two - cost
    assert torch.allclose(values, torch.tensor([after_one, after_two]), atol=0.03)


@every_target
def test_the_last_two_leave_the_network_alone_and_the_first_does_not(kind):
    rule = q_learning(halt_target=kind)
    rule.loss(chain(rule, torch.tensor([1, 1])))  # so that something is remembered
    experience = chain(rule, torch.tensor([2, 2]), halted=torch.tensor([True, True]))
    q_continue = experience.signals["q_continue"].detach().requires_grad_()
    experience = experience._replace(signals={**experience.signals, "q_continue": q_continue})
    loss = rule.loss(experience).sum()
    (gradient,) = torch.autograd.grad(loss, q_continue, allow_unused=True)
    assert (gradient is not None) == (kind == "extra_pass")


def test_slots_that_ended_are_not_continued():
    rule = q_learning(halt_target="next_segment")

    def error(ended, then):
        rule.begin(2, MOST, torch.device("cpu"))
        rule.loss(chain(rule, torch.tensor([2, 2]), halted=torch.tensor(ended)))
        experience = chain(rule, torch.tensor(then))
        return rule.loss(experience) - halting_errors(experience)

    one, two = error([False, True], [3, 1])
    assert one > 0 and two == 0
    assert (error([True, True], [1, 1]) == 0).all()


def test_returns_count_the_episode_that_ended_and_no_older_one():
    rule = q_learning(slots=1, halt_target="monte_carlo")
    for segment in (1, 2, 3, 4):  # a long episode that ends right
        rule.loss(chain(rule, torch.tensor([segment]), cost=0.1))
    rule.loss(chain(rule, torch.tensor([1]), cost=0.1))
    experience = chain(rule, torch.tensor([2]), halted=torch.tensor([True]), cost=0.1)
    error = rule.loss(experience) - halting_errors(experience)
    q_continue = rule.read(output(torch.tensor([1])))["q_continue"]
    assert torch.allclose(error, F.binary_cross_entropy_with_logits(q_continue, torch.zeros(1), reduction="none"))


def test_target_network_gives_the_values():
    rule, averaged = q_learning(target_network=True), q_learning()
    with torch.no_grad():
        for each, bias in ((rule, 3.0), (averaged, -3.0)):
            each.head.weight.zero_()
            each.head.bias.fill_(bias)
    experience = chain(rule, torch.tensor([1, 1]), averaged=averaged)
    expected = torch.full((2,), -3.0).sigmoid()
    assert torch.allclose(rule.continue_target(experience), expected)
    rule.config = QLearningConfig()
    assert torch.allclose(rule.continue_target(experience), torch.full((2,), 3.0).sigmoid())
    loss = rule.loss(experience) - halting_errors(experience)
    q_continue = experience.signals["q_continue"]
    assert not torch.allclose(loss, F.binary_cross_entropy_with_logits(q_continue, expected, reduction="none"))


def test_what_the_last_segment_is_worth_is_paid_by_the_environment_or_looked_up_ahead():
    wrong_at_last = torch.tensor([MOST, MOST])
    for horizon in ("reward", "look_ahead"):
        rule = q_learning(horizon=horizon)
        experience = chain(rule, wrong_at_last)._replace(right=torch.tensor([True, False]))
        experience = experience._replace(reward=experience.right.float())
        target = rule.continue_target(experience)
        if horizon == "reward":
            assert target.tolist() == [1, 0]
        else:
            assert torch.allclose(target, rule.read(output(wrong_at_last + 1))["q_halt"].sigmoid())


def test_what_the_environment_pays_is_the_label_of_halting():
    rule = q_learning()
    experience = chain(rule, torch.tensor([3, 3]), halted=torch.tensor([True, False]))
    half = experience._replace(reward=torch.tensor([0.5, 0.0]))
    losses = halting_errors(half)
    labels = torch.tensor([0.5, 1.0])  # the second goes on: what it would have been paid
    expected = F.binary_cross_entropy_with_logits(half.signals["q_halt"], labels, reduction="none")
    assert torch.allclose(losses, expected)


@pytest.mark.parametrize("kind", ["next_segment", "monte_carlo"])
def test_training_goes_on_bit_for_bit(kind):
    config = tiny(max_segments=4, halt_target=kind, gamma=0.9, segment_cost=0.01)
    whole = Loop(config)
    for _ in range(6):
        whole.step()
    first = Loop(config)
    for _ in range(3):
        first.step()
    assert first.snapshot().part("memory")
    second = Loop(config, first.snapshot())
    for _ in range(3):
        second.step()
    assert all((memory != 0).any() for memory in second.policy.halting.memory.values())
    ours, theirs = second.snapshot().tensors, whole.snapshot().tensors
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("cost", [1.0, 8.0])
def test_a_dear_wrong_halt_asks_for_more_certainty(cost):
    """Of answers that are right so often, it learns odds lower by the cost; so it halts where the odds are above it."""
    rule = Classifier(ClassifierConfig(wrong_halt_cost=cost), MOST)
    chained = chain(rule, torch.tensor([3, 3, 3, 3, 1]))  # four right answers and a wrong one
    q_halt = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([q_halt], max_iter=50)

    def loss():
        optimizer.zero_grad()
        value = rule.loss(chained._replace(signals={"q_halt": q_halt.expand(5)})).mean()
        value.backward()
        return value

    optimizer.step(loss)
    odds = 4 / cost
    assert q_halt.item() == pytest.approx(math.log(odds), abs=1e-3)
    assert rule.decide({"q_halt": q_halt.detach()}, torch.ones(1)).item() == (odds > 1)


def test_a_classifier_learns_no_value_of_continuing():
    rule = Classifier(ClassifierConfig(), MOST)
    rule.begin(2, MOST, torch.device("cpu"))
    assert rule.signals == ("q_halt",) and rule.forward_passes() == 0 and not rule.memory
    experience = chain(rule, torch.tensor([1, 2]))
    assert rule.read(experience.output).keys() == {"q_halt"}
    with pytest.raises(HrmGymError, match="halt_target"):
        tiny(halting="classifier", halt_target="monte_carlo")
    with pytest.raises(HrmGymError, match="target_network needs halt_target 'extra_pass'"):
        QLearningConfig(target_network=True, halt_target="next_segment")
    with pytest.raises(HrmGymError, match="segment_cost is -1"):
        dataclasses.replace(tiny(), segment_cost=-1)
