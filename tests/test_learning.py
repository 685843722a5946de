"""The parts of learning, each against what it says of itself."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import torch
from loop import Loop, agents_here, tiny

from hrm_gym.agents import Output, Protocol, TaskSpec, agent_names, evaluate, halting_names, think
from hrm_gym.agents import state as nests
from hrm_gym.agents.halting.classifier import Classifier, ClassifierConfig
from hrm_gym.agents.halting.confidence import Confidence, ConfidenceConfig
from hrm_gym.agents.halting.fixed import Fixed, FixedConfig
from hrm_gym.agents.halting.q_learning import QLearning, QLearningConfig
from hrm_gym.agents.halting.rule import Experience, halting_label
from hrm_gym.agents.inference.evaluation import evaluate_stops
from hrm_gym.agents.policy import stablemax_log_probabilities
from hrm_gym.agents.registry import agent_class, halting_class
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.config import Config, RunOptions
from hrm_gym.agents.saved.devices import choose_device
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training.losses import answer_loss
from hrm_gym.agents.training.optimizers import Average, learning_rate, make_optimizer
from hrm_gym.envs.registration import make_task, task_ids
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError
from hrm_gym.options import from_dict

SMALL = tiny()
SPEC = TaskSpec.of(make_task("Sudoku4x4-v0"))
BOARD = ("hrm", "trm", "direct")
"""Agents whose positions are the cells."""


def board_for(agent, sudoku):
    """An environment that an agent can take: a walk for `tem`, else a Sudoku."""
    return "Walk-v0" if agent == "tem" else sudoku


def small(**options):
    return build(tiny(**options), SPEC)


def experience(policy, state, obs, right, ended=None):
    """A segment in which every slot goes on, as a policy sees it."""
    state, output, signals = policy(state, obs)
    num = len(right)
    ended = torch.zeros(num, dtype=torch.bool) if ended is None else ended
    state = nests.detach(state)

    def look_ahead(averaged):
        with torch.no_grad():
            return policy(state, obs)[2]

    return Experience(
        obs=obs,
        output=output,
        signals=signals,
        segment=torch.ones(num, dtype=torch.long),
        halted=ended,
        reward=(right & ended).float(),
        ended=ended,
        right=right,
        solution=torch.ones_like(obs["puzzle"]),
        look_ahead=look_ahead,
    )


# ---- losses ----------------------------------------------------------------------------------------------


def test_stablemax_is_a_distribution_that_agrees_with_its_definition():
    logits = torch.tensor([[0.0, 2.0, -3.0]])
    s = torch.tensor([1.0, 3.0, 0.25], dtype=torch.float64)
    assert torch.allclose(stablemax_log_probabilities(logits).exp(), (s / s.sum())[None])


def test_answer_loss_is_the_mean_over_cells_in_both_normalisations():
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    solution = torch.tensor([[0, 1, 2, 3]] * 3)
    softmax = -logits.log_softmax(-1).gather(-1, solution[..., None])[..., 0].mean(-1)
    assert torch.allclose(answer_loss(logits, solution, "softmax"), softmax)
    assert (answer_loss(logits, solution, "stablemax") > 0).all()


def test_padding_of_the_solution_is_not_learned_from():
    logits = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    solution = torch.tensor([[1, 2, 3, 4, 0, 0], [0, 1, 0, 1, 2, 2], [0, 0, 0, 0, 0, 0]])
    for kind in ("softmax", "stablemax"):
        loss = answer_loss(logits, solution, kind, padding=0)
        assert torch.allclose(loss[0], answer_loss(logits[:1, :4], solution[:1, :4], kind)[0])
        assert loss[2] == 0  # a hidden solution teaches nothing
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert ((gradient != 0).any(-1) == (solution != 0)).all()


def test_halting_is_rewarded_only_where_the_environment_says_so():
    policy = small(halting="classifier")
    obs = {"puzzle": torch.ones(2, 16, dtype=torch.long)}
    seen = experience(policy, policy.initial_state(2), obs, right=torch.tensor([True, False]))
    q_halt = seen.signals["q_halt"].detach().requires_grad_()
    policy.halting.loss(seen._replace(signals={"q_halt": q_halt})).sum().backward()
    assert q_halt.grad is not None
    assert q_halt.grad[0] < 0 < q_halt.grad[1]  # pushed up where right, down where not


def test_the_label_of_halting_is_what_the_environment_pays():
    policy = small()
    obs = {"puzzle": torch.ones(3, 16, dtype=torch.long)}
    seen = experience(policy, policy.initial_state(3), obs, torch.tensor([True, True, False]))
    ended = seen._replace(ended=torch.tensor([True, False, True]), reward=torch.tensor([0.25, -0.1, 7.0]))
    assert halting_label(ended).tolist() == [0.25, 1.0, 1.0]


# ---- halting ---------------------------------------------------------------------------------------------


def test_learned_rules_halt_where_halting_leads():
    q_halt, q_continue = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([0.0, -2.0, 2.0])
    segment = torch.ones(3, dtype=torch.long)
    learned, classifier = QLearning(QLearningConfig(), 4), Classifier(ClassifierConfig(), 4)
    signals = {"q_halt": q_halt, "q_continue": q_continue}
    assert learned.decide(signals, segment).tolist() == [True, True, False]
    assert learned.decide(signals, segment, margin=1.0).tolist() == [False, False, False]
    assert classifier.decide({"q_halt": q_halt}, segment).tolist() == [True, False, True]
    for rule in (learned, classifier):
        assert torch.equal(rule.belief(signals), q_halt)


def test_rules_without_a_head_of_their_own():
    fixed, sure = Fixed(FixedConfig(segments=3), 4), Confidence(ConfidenceConfig(confidence=0.9), 4)
    assert fixed.decide({}, torch.tensor([1, 2, 3, 4])).tolist() == [False, False, True, True]
    assert fixed.belief({}) is None and not list(fixed.parameters()) and not list(sure.parameters())
    p = torch.tensor([[[0.95, 0.05], [0.99, 0.01]], [[0.95, 0.05], [0.85, 0.15]]])  # of two boards of two cells
    signals = sure.read(Output(p.log(), torch.zeros(2, 4)))
    assert torch.allclose(signals["confidence"].sigmoid(), torch.tensor([0.95, 0.85]))
    assert sure.decide(signals, torch.tensor([1, 1])).tolist() == [True, False]


def test_exploration_demands_a_uniform_minimum_with_its_probability():
    rule = Classifier(ClassifierConfig(exploration=0.25), 4)
    rule.begin(20_000, 5, torch.device("cpu"))
    uniforms = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0))
    wants = {"q_halt": torch.ones(20_000)}
    halts = torch.stack([rule.explore(wants, torch.full((20_000,), s), uniforms) for s in range(1, 6)])
    assert halts[-1].all()
    first = halts.float().argmax(0) + 1  # the first segment in which halting counts
    counts = torch.bincount(first, minlength=6) / 20_000
    assert counts[0] == 0
    assert counts[1] == pytest.approx(0.75, abs=0.015)
    assert counts[2:].tolist() == pytest.approx([0.0625] * 4, abs=0.01)


def test_a_random_stop_is_uniform_over_the_segments():
    rule = Confidence(ConfidenceConfig(), 4)
    rule.begin(20_000, 4, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    going, stops = torch.ones(20_000, dtype=torch.bool), []
    for segment in range(1, 5):
        uniforms = torch.rand(20_000, 1, generator=generator)
        halt = rule.explore({}, torch.full((20_000,), segment), uniforms) & going
        stops.append(float(halt.float().mean()))
        going &= ~halt
    assert not going.any() and stops == pytest.approx([0.25] * 4, abs=0.015)


# ---- optimizer, schedule, average ------------------------------------------------------------------------


def test_learning_rate_warms_up_stays_and_falls():
    config = dataclasses.replace(SMALL, lr=1.0, warmup_steps=10, decay_from=0.5, lr_end=0.1)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 9, 0.0) == learning_rate(config, 500, 0.5) == 1.0
    assert learning_rate(config, 500, 0.75) == pytest.approx(0.55)
    assert learning_rate(config, 500, 1.0) == pytest.approx(0.1)
    forever = dataclasses.replace(config, decay_from=1.0)
    assert learning_rate(forever, 500, 1.0) == 1.0


def test_average_forgets_the_initial_weights_quickly_and_then_remembers_long():
    policy = small()
    weight = policy.agent.lm_head.weight
    torch.nn.init.zeros_(weight)
    average = Average(0.999, policy)
    average.update(policy)
    torch.nn.init.ones_(weight)
    for _ in range(100):
        average.update(policy)
    assert average.policy.agent.lm_head.weight.min() > 0.99  # a constant decay of 0.999 would be at 0.095


@pytest.mark.parametrize("name", ["adamw", "adam_atan2"])
def test_optimizers_decay_weights_without_gradient_signal(name):
    config = tiny(optimizer=name, lr=0.1, weight_decay=1.0)
    policy = build(config, SPEC)
    optimizer = make_optimizer(config, policy)
    before = [p.detach().clone() for p in policy.parameters()]
    for p in policy.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for old, p in zip(before, policy.parameters(), strict=True):
        assert torch.allclose(p, old * 0.9)


# ---- models ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", BOARD)
@pytest.mark.parametrize("mixer", ["attention", "tokens"])
def test_one_segment_gives_shapes_and_gradients_everywhere(agent, mixer):
    positions = "rope" if mixer == "attention" else "none"
    policy = small(agent=agent, mixer=mixer, positions=positions, halting="q_learning")
    policy.halting.begin(3, 16, torch.device("cpu"))
    obs = {"puzzle": torch.randint(0, 5, (3, 16))}
    state, out, signals = policy(policy.initial_state(3), obs)
    assert out.logits.shape == (3, 16, 5) and out.features.shape == (3, 16)
    assert signals["q_halt"].shape == signals["q_continue"].shape == (3,)
    assert state.z_h.shape == state.z_l.shape == (3, 17, 16)
    state = nests.detach(state)
    assert not state.z_h.requires_grad and not state.z_l.requires_grad
    assert torch.sigmoid(signals["q_halt"]).max() < 0.01  # begins by thinking long
    seen = experience(policy, state, obs, torch.zeros(3, dtype=torch.bool))
    solution = torch.ones(3, 16, dtype=torch.long)
    loss = answer_loss(seen.output.logits, solution, "stablemax").sum() + 0.5 * policy.halting.loss(seen).sum()
    loss.backward()
    assert [name for name, p in policy.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("agent", agents_here())
def test_select_touches_only_the_marked_slots(agent):
    task = make_task(board_for(agent, "Sudoku4x4-v0"))
    policy = build(tiny(agent=agent), TaskSpec.of(task))
    puzzle = torch.from_numpy(task.dataset("train").puzzle[:2].astype(np.int64))
    state, *_ = policy(policy.initial_state(2), {"puzzle": puzzle})
    fresh = policy.initial_state(2)
    after = nests.select(torch.tensor([True, False]), fresh, state)
    for (_, now), (_, new), (_, old) in zip(*map(nests.items, (after, fresh, state)), strict=True):
        assert torch.equal(now[0], new[0]) and torch.equal(now[1], old[1])


def test_the_paper_preset_has_27_million_parameters():
    config = resolve({"env": "SudokuExtreme-v0", "agent": "hrm", "preset": "paper", "device": "cpu"})
    # 11 symbols as in the reference, which counts 27,275,266; its padding symbol is all that ours lacks
    policy = build(config, TaskSpec(9, 9, 11))
    assert policy.num_parameters == 27_275_266


def test_one_step_gradient_differs_from_the_last_cycle_but_the_answer_does_not():
    torch.manual_seed(0)
    one, whole = small(gradient="one_step"), small(gradient="last_cycle")
    whole.load_state_dict(one.state_dict())
    obs = {"puzzle": torch.randint(0, 5, (2, 16))}
    outs = [policy(policy.initial_state(2), obs)[1] for policy in (one, whole)]
    assert torch.allclose(outs[0].logits, outs[1].logits, atol=1e-6)
    for out in outs:
        out.logits.square().sum().backward()
    name = "agent.l_net.layers.0.mlp.down.weight"
    first, second = (dict(m.named_parameters())[name].grad for m in (one, whole))
    assert not torch.allclose(first, second, rtol=1e-2)


@pytest.mark.parametrize("agent", ["hrm", "trm"])
@pytest.mark.parametrize(("gradient", "calls"), [("one_step", 2), ("last_cycle", 4)])
def test_the_gradient_reaches_as_far_back_as_asked(agent, gradient, calls):
    policy = small(agent=agent, gradient=gradient, h_cycles=2, l_cycles=3)
    recorded = []
    for net in set(policy.agent.slow_and_fast()):
        net.register_forward_hook(lambda *_: recorded.append(torch.is_grad_enabled()))
    policy(policy.initial_state(2), {"puzzle": torch.randint(0, 5, (2, 16))})
    assert recorded == [False] * (8 - calls) + [True] * calls  # 2 cycles of 3 calls of L and one of H


def test_a_held_h_state_stays_in_its_subspace_and_nothing_else_is_held():
    torch.manual_seed(0)
    policy = small(h_dimensions=3, h_cycles=2)
    assert policy.num_parameters == small().num_parameters  # the subspace is not learned
    obs, seen = {"puzzle": torch.randint(0, 5, (6, 16))}, []
    policy.agent.h_net.register_forward_hook(lambda module, arguments, state: seen.append(state))
    state = policy.initial_state(6)
    seen.append(state.z_h)
    for _ in range(2):
        state = policy(state, obs)[0]
    assert len(seen) == 5  # the initial state, and every update of H, not the last of a segment alone
    together = torch.cat([z.detach().reshape(-1, 16) for z in seen]).double()
    assert torch.linalg.matrix_rank(together, rtol=1e-4) == 3
    assert torch.linalg.matrix_rank(state.z_l.detach().reshape(-1, 16).double(), rtol=1e-4) == 16


def test_a_held_agent_learns_and_comes_back_from_its_file_with_its_subspace(tmp_path):
    loop = Loop(tiny(h_dimensions=2))
    before = {name: p.clone() for name, p in loop.policy.agent.named_parameters()}
    basis = loop.policy.agent.h_net.basis.clone()
    for _ in range(3):
        loop.step()
    agent = loop.policy.agent
    assert all(not torch.equal(p, before[name]) for name, p in agent.named_parameters() if p.ndim == 2)
    assert torch.equal(agent.h_net.basis, basis)
    checkpoints.save(tmp_path / "held.safetensors", loop.snapshot())
    again, _ = load_both("Sudoku4x4-v0", tmp_path / "held.safetensors", "cpu")
    assert torch.equal(again.agent.h_net.basis, basis)


def test_dimensions_that_the_state_does_not_have_are_refused():
    with pytest.raises(HrmGymError, match=r"h_dimensions is 17: the state has 16 \(hidden_size\), give no more"):
        small(h_dimensions=17)


# ---- evaluation ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thinker():
    """An untrained agent that halts at different segments on different puzzles."""
    torch.manual_seed(3)
    policy = small(agent="trm", halting="classifier").eval()
    policy.halting.head.weight.data.normal_(std=3.0)
    policy.halting.head.bias.data.zero_()
    return policy


def evaluated(policy, task, puzzles, batch_size=256, **protocol):
    return evaluate(policy, task, puzzles, Protocol(**({"halting": "fixed"} | protocol)), batch_size=batch_size)


def test_refilled_slots_give_what_each_puzzle_gives_alone(thinker):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test").map(lambda a: a[:40])
    result = evaluated(thinker, task, puzzles, halting="learned", batch_size=7, max_segments=6)
    assert len(set(result.segments.tolist())) > 1  # the test means nothing if all halt alike
    for i in range(40):
        tokens = torch.from_numpy(puzzles.puzzle[i : i + 1].astype(np.int64))
        for segment, thought in enumerate(think(thinker, tokens, 6), start=1):  # noqa: B007
            if thought.halt[0]:
                break
        assert segment == result.segments[i]
        assert np.array_equal(thought.answer[0].numpy(), result.answers[i])


def test_fixed_halting_uses_all_segments_and_counts_right_answers_by_segment(thinker, monkeypatch):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test").map(lambda a: a[:10])
    tokens = torch.from_numpy(puzzles.puzzle.astype(np.int64))
    *_, last = think(thinker, tokens, 3)
    # Two puzzles whose "solution" is what this agent will say, in a family whose rules do not decide.
    monkeypatch.setattr(task, "verifiable", False)
    solution = puzzles.solution.copy()
    solution[:2] = last.answer[:2].numpy()
    result = evaluated(thinker, task, Puzzles(puzzles.puzzle, solution), max_segments=3, batch_size=4)
    assert (result.segments == 3).all()
    assert result.exact.tolist() == [True, True] + [False] * 8
    assert result.after[-1] == pytest.approx(0.2)


def test_one_pass_gives_what_each_protocol_gives_alone(thinker):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test").map(lambda a: a[:40])
    protocols = [
        Protocol(halting="fixed", max_segments=6),
        Protocol(halting="learned", max_segments=8),
        Protocol(halting="learned", max_segments=4, halt_margin=2.0),
    ]
    together = evaluate_stops(thinker, task, puzzles, protocols, batch_size=7)
    assert len({result.segments.mean() for result in together}) == 3  # else the test means nothing
    for result, protocol in zip(together, protocols, strict=True):
        alone = evaluate(thinker, task, puzzles, protocol, batch_size=7)
        for name in ("answers", "exact", "valid", "segments"):
            assert np.array_equal(getattr(result, name), getattr(alone, name)), name
        for name in ("belief", "residual", "after"):
            assert np.allclose(getattr(result, name), getattr(alone, name), atol=1e-5), name
    with pytest.raises(HrmGymError, match="may differ in halting"):
        evaluate_stops(thinker, task, puzzles, [Protocol(), Protocol(rollouts=2)])


def test_rollouts_choose_by_the_belief_alone(thinker):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test").map(lambda a: a[:6])
    one = evaluated(thinker, task, puzzles, max_segments=2)
    many = evaluated(thinker, task, puzzles, max_segments=2, rollouts=4, noise=1.0)
    again = evaluated(thinker, task, puzzles, max_segments=2, rollouts=4, noise=1.0)
    assert np.array_equal(many.answers, again.answers)
    assert (many.segments == 8).all() and not np.array_equal(one.answers, many.answers)
    shuffled = Puzzles(puzzles.puzzle, puzzles.solution[::-1])
    assert np.array_equal(evaluated(thinker, task, shuffled, max_segments=2, rollouts=4).answers, many.answers)


def test_rollouts_may_be_about_symmetric_images():
    """The shipped agent solves more of these with four attempts, and the answers fit the puzzles as they are."""
    agent, task = load_both("Sudoku6x6-v0")
    puzzles = task.dataset("test").map(lambda a: a[:32])
    one = evaluated(agent, task, puzzles, max_segments=3)
    many = evaluated(agent, task, puzzles, max_segments=3, rollouts=4, vary="symmetry")
    assert many.valid.sum() > one.valid.sum() and many.exact.sum() > one.exact.sum()
    assert np.array_equal(many.exact, (many.answers == puzzles.solution).all(1))
    shuffled = Puzzles(puzzles.puzzle, puzzles.solution[::-1])
    again = evaluated(agent, task, shuffled, max_segments=3, rollouts=4, vary="symmetry")
    assert np.array_equal(again.answers, many.answers)


def test_rollouts_are_selected_without_the_solutions(thinker):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test").map(lambda a: a[:20])
    options = {"max_segments": 2, "rollouts": 4, "noise": 1.0}
    chosen = {
        select: evaluated(thinker, task, puzzles, select=select, **options)
        for select in ("belief", "residual", "rules")
    }
    broken = {select: task.violations(puzzles.puzzle, result.answers) for select, result in chosen.items()}
    assert (broken["rules"] <= broken["belief"]).all() and broken["rules"].sum() < broken["residual"].sum()
    assert (chosen["belief"].belief >= chosen["residual"].belief).all()
    assert (chosen["residual"].residual <= chosen["belief"].residual).all()
    assert not np.array_equal(chosen["residual"].answers, chosen["belief"].answers)
    for select, result in chosen.items():
        shuffled = Puzzles(puzzles.puzzle, puzzles.solution[::-1])
        again = evaluated(thinker, task, shuffled, select=select, **options)
        assert np.array_equal(again.answers, result.answers)


def test_a_margin_makes_the_agent_halt_later(thinker):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test").map(lambda a: a[:40])
    eager, careful = (
        evaluated(thinker, task, puzzles, halting="learned", halt_margin=margin).segments for margin in (0.0, 2.0)
    )
    assert (careful >= eager).all() and careful.mean() > eager.mean()


def test_evaluation_refuses_what_makes_no_sense(thinker):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test")
    with pytest.raises(HrmGymError, match="did you mean 'learned'"):
        evaluated(thinker, task, puzzles, halting="lerned")
    with pytest.raises(HrmGymError, match="did you mean 'rules'"):
        evaluated(thinker, task, puzzles, select="rulez")
    with pytest.raises(HrmGymError, match="did you mean 'symmetry'"):
        evaluated(thinker, task, puzzles, vary="symetry")
    with pytest.raises(HrmGymError, match="no symmetries that can be undone"):
        evaluated(thinker, task, puzzles, rollouts=2, vary="symmetry")
    with pytest.raises(HrmGymError, match="rollouts is 0"):
        evaluated(thinker, task, puzzles, rollouts=0)
    with pytest.raises(HrmGymError, match="no puzzles"):
        evaluated(thinker, task, Puzzles(puzzles.puzzle[:0], puzzles.solution[:0]))


# ---- configuration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", agents_here())
def test_every_preset_builds_every_agent(agent):
    for preset in PRESETS:
        env = board_for(agent, "Sudoku9x9-v0")
        config = resolve({"env": env, "agent": agent, "preset": preset, "device": "cpu"})
        assert (config.preset, config.agent) == (preset, agent)
        with torch.device("meta"):
            build(config, TaskSpec.of(make_task(env)))


def chosen(env_id, **options):
    return resolve({"env": env_id, "device": "cpu", **options})


def test_auto_chooses_by_board():
    presets = [chosen(f"Sudoku{b}-v0", agent="hrm").preset for b in ("4x4", "6x6", "9x9")]
    assert presets == ["tiny", "small", "medium"]
    assert [chosen(f"Sudoku{b}-v0").agent for b in ("6x6", "9x9")] == ["hrm", "hrm_symbols"]
    assert [chosen("Sudoku4x4-v0", agent=agent).halting for agent in BOARD] == [
        "q_learning",
        "classifier",
        "classifier",
    ]


def test_auto_sees_the_arguments_of_the_family():
    assert (chosen("MazeSmall-v0").preset, chosen("MazeSmall-v0").agent) == ("grid", "hrm_grid")
    assert chosen("MazeSmall-v0", agent="trm").preset == "local"
    assert chosen("MazeSmall-v0", task_args="size=6,min_path=8").preset == "small"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lr": 0.0}, "lr is 0.0"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"mixer": "attention", "hidden_size": 30}, "does not split into 2 heads"),
        ({"ema": 1.5}, "ema is 1.5: it must be at least 0 and at most 1"),
        ({"max_steps": -1}, "max_steps is -1: it must be at least 0"),
        ({"max_segments": 0}, "max_segments is 0: it must be at least 1"),
        ({"hidden_size": 8.5}, "hidden_size is 8.5: give an integer"),
        ({"augment": 1}, "augment is 1: give True or False"),
    ],
)
def test_configuration_refuses(fields, message):
    with pytest.raises(HrmGymError, match=message):
        tiny(**fields)


def number_fields(kinds):
    for kind in kinds:
        for field in dataclasses.fields(kind):
            if type(field.default) in (int, float):
                yield pytest.param(kind, field, id=f"{kind.__name__}-{field.name}")


KINDS = [
    RunOptions,
    Protocol,
    *dict.fromkeys(agent_class(name).Config for name in agent_names()),
    *dict.fromkeys(halting_class(name).Config for name in halting_names()),
]


@pytest.mark.parametrize(("kind", "field"), [*number_fields(KINDS)])
def test_every_number_refuses_what_makes_no_sense(kind, field):
    assert "bounds" in field.metadata, "say by `number` or `share` what is allowed"
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(HrmGymError, match=f"{field.name} is"):
            from_dict(kind, {field.name: value})
    bounds = field.metadata["bounds"]
    if field.name not in ("halt_margin", "halt_bias", "cell_halt_bias"):  # logits, of either sign
        with pytest.raises(HrmGymError, match=f"{field.name} is -1"):
            from_dict(kind, {field.name: type(field.default)(-1)})
    step = 1 if type(field.default) is int else 1e-6
    outside = {
        "least": lambda bound: bound - step,
        "above": lambda bound: bound,
        "most": lambda bound: bound + step,
        "below": lambda bound: bound,
    }
    for name, beyond in outside.items():
        if (bound := getattr(bounds, name)) is not None:
            with pytest.raises(HrmGymError, match=f"{field.name} is .*it must be"):
                from_dict(kind, {field.name: type(field.default)(beyond(bound))})


def test_configuration_round_trip_and_unknown_fields():
    assert Config.from_dict(json.loads(SMALL.to_json())) == SMALL
    with pytest.raises(HrmGymError, match="did you mean 'hidden_size'"):
        tiny(hiden_size=3)
    fields = json.loads(SMALL.to_json())
    with pytest.raises(HrmGymError, match="did you mean 'max_steps'"):
        Config.from_dict(fields | {"max_step": 3})
    for part, wrong, near in (("agent_options", "h_cycle", "h_cycles"), ("halting_options", "gama", "gamma")):
        with pytest.raises(HrmGymError, match=f"did you mean '{near}'"):
            Config.from_dict(fields | {part: {**fields[part], wrong: 1}})


def test_an_option_of_another_agent_is_refused_and_the_nearest_is_named():
    with pytest.raises(HrmGymError, match=r"unknown option of agent 'direct'.*'h_cycles'"):
        tiny(agent="direct", h_cycles=2)
    with pytest.raises(HrmGymError, match=r"unknown option.*'gama': did you mean 'gamma'"):
        tiny(gama=0.5)


def test_names_that_are_not_there():
    with pytest.raises(HrmGymError, match="did you mean 'hrm'"):
        tiny(agent="hmr")
    with pytest.raises(HrmGymError, match="did you mean 'q_learning'"):
        tiny(halting="q_lerning")
    with pytest.raises(HrmGymError, match="did you mean 'small'"):
        tiny(preset="smal")
    with pytest.raises(HrmGymError, match="unknown device"):
        choose_device("gpu0")
    if not torch.cuda.is_available():
        with pytest.raises(HrmGymError, match="--device cpu"):
            choose_device("cuda")


# ---- the loop, on every environment ----------------------------------------------------------------------


@functools.cache  # asked for every agent, by every process that collects the tests
def board_of(env_id):
    """The family of an environment and what an agent knows of its board."""
    task = make_task(env_id)
    return type(task), TaskSpec.of(task)


def boards_for(agent):
    """Environments whose puzzles an agent can think about: some need groups."""
    cls = agent_class(agent)
    for env_id in task_ids():
        try:
            with torch.device("meta"):
                cls(cls.Config(), board_of(env_id)[1])
        except HrmGymError:
            continue
        yield env_id


SOON = {
    "latent_tokens": {"stage_steps": 0},
    "trans_nar": {"pretrain_steps": 1},
    "search_trace": {"chunk": 1},
}
"""What makes all of an agent take part from the first step or the second, where it learns in stages, and keeps a short
text from ending in the first."""


def on_every_board():
    """Every agent on every environment: quick on its first one, slow on one of every other family, else rare."""
    for agent in agents_here():
        families: set[type] = set()
        for env_id in boards_for(agent):
            family, _ = board_of(env_id)
            mark = pytest.mark.rare if family in families else pytest.mark.slow if families else ()
            families.add(family)
            yield pytest.param(agent, env_id, marks=mark)


@pytest.mark.parametrize(("agent", "env_id"), list(on_every_board()))
def test_every_agent_takes_steps_on_every_environment(env_id, agent):
    sizes = {"hidden_size": 16, "num_heads": 2, "h_layers": 1, "l_layers": 1, "message_size": 8, "mlp_size": 16}
    known = {field.name for field in dataclasses.fields(agent_class(agent).Config)}
    sizes = {name: size for name, size in sizes.items() if name in known}
    # Not compiled, which would take most of the time; `test_the_networks_of_nodes_are_compiled` does that.
    options = {"num_envs": 4, "max_segments": 2, "compile": False, **sizes, **SOON.get(agent, {})}
    if env_id.startswith("ARC"):  # the boards of MazeHard are as large as theirs, and one such is enough
        options["task_args"] = "side=10"
    loop = Loop(chosen(env_id, agent=agent, **options))
    begun = []
    begin = loop.trainer.initial_state
    loop.trainer.initial_state = lambda: begun.append(begin()) or begun[-1]
    before = {name: p.detach().clone() for name, p in loop.policy.named_parameters()}
    first = loop.obs["puzzle"].clone()
    for step in range(1, 3):
        losses = loop.step()
        assert torch.isfinite(losses["answer_loss"])
        # Two segments are all there are: after the second every slot is new, its thoughts included.
        assert (loop.obs["segment"] == (1 if step == 1 else 0)).all()
        assert torch.equal(loop.obs["puzzle"], first) == (step == 1)
        fresh, again = (dict(nests.items(loop.policy.initial_state(4))) for _ in range(2))
        if not all(torch.equal(z, again[name]) for name, z in fresh.items()):  # drawn anew each time
            fresh = dict(nests.items(begun[-1]))
        same = all(torch.equal(z, fresh[name]) for name, z in nests.items(loop.state))
        assert same == (step == 2)
    assert all(not torch.equal(before[name], p) for name, p in loop.policy.named_parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("agent", "env_id"), [("trm_symbols", "Sudoku4x4-v0"), ("trm_grid", "MazeSmall-v0")])
def test_the_networks_of_nodes_are_compiled(agent, env_id):
    """Those presets compile: the compiled network learns as the plain one does."""
    sizes = {"hidden_size": 16, "mlp_size": 16, "layers": 1, "num_envs": 4, "max_segments": 2, "dtype": "float32"}
    compiled, plain = (Loop(chosen(env_id, agent=agent, compile=compile, **sizes)) for compile in (True, False))
    assert compiled.policy.agent.networks()[0].refine is not plain.policy.agent.networks()[0].refine
    for _ in range(2):
        ours, theirs = (loop.step()["answer_loss"] for loop in (compiled, plain))
        assert torch.isfinite(ours) and torch.allclose(ours, theirs, rtol=1e-3)
