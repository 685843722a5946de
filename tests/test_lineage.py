"""The lineage: what each system is known for, at the smallest size that shows it, and the arithmetic of its halting."""

import math

import pytest
import torch
from loop import Loop, tiny

from examples.lineage.looped import more_steps
from examples.lineage.parity import pondering
from examples.lineage.trans_nar import gates
from examples.lineage.ut_ponder import pondering as pondering_of_cells
from hrm_gym import HrmGymError, make_task
from hrm_gym.agents import TaskSpec
from hrm_gym.agents.halting.act import ACT, ACTConfig
from hrm_gym.agents.halting.pondernet import PonderNet, PonderNetConfig
from hrm_gym.agents.lineage.algorithms import Propagation, Spreading, neighbours_of
from hrm_gym.agents.saved import checkpoint as checkpoints

QUICK = {"max_minutes": 0.0, "eval_minutes": 9.0, "device": "cpu", "dtype": "float32"}


# ---- signature results ---------------------------------------------------------------------------


@pytest.mark.rare
@pytest.mark.parametrize("rule", ["pondernet", "act"])
def test_harder_parity_is_pondered_longer(rule, tmp_path):
    found = pondering("ParityRow1x6-v0", rule, tmp_path / "run", max_steps=2000, num_envs=16, max_segments=8, **QUICK)
    assert found["accuracy"] > 0.97
    assert found["long"] > found["short"] + 1.5


@pytest.mark.rare
def test_more_steps_at_test_than_in_training_help(tmp_path):
    accuracy, same = more_steps(tmp_path / "run", max_steps=800, num_envs=32, **QUICK)
    assert accuracy[16] > accuracy[4] + 0.2 and accuracy[32] > 0.95  # trained with four steps on average
    assert same > 0.95


# ---- halting distributions -----------------------------------------------------------------------


def thought_and_last(length, segments):
    place = torch.arange(segments)
    return (place < length)[None], (place == length - 1)[None]


@torch.inference_mode()
def test_an_answer_of_looped_does_not_depend_on_the_batch():
    loop = Loop(tiny(agent="looped"))
    agent, puzzle = loop.policy.agent.eval(), loop.obs["puzzle"]
    _, together = agent(agent.initial_state(8), {"puzzle": puzzle})
    for slot in (0, 5):
        _, alone = agent(agent.initial_state(1), {"puzzle": puzzle[slot : slot + 1]})
        torch.testing.assert_close(alone.logits[0], together.logits[slot], atol=1e-4, rtol=1e-4)


def test_act_gives_the_last_segment_the_remainder():
    rule = ACT(ACTConfig(ponder_cost=0.1), num_features=3)
    thought, last = thought_and_last(3, 5)
    p = torch.tensor([[0.2, 0.3, 0.9, 0.9, 0.9]], requires_grad=True)
    weights = rule.weights(p, thought, last)
    assert torch.allclose(weights, torch.tensor([[0.2, 0.3, 0.5, 0.0, 0.0]]))
    cost = rule.cost(weights, thought, last)
    assert cost.item() == pytest.approx(0.1 * (2 + 0.5))
    cost.sum().backward()
    assert torch.allclose(p.grad, torch.tensor([[-0.1, -0.1, 0.0, 0.0, 0.0]]))  # Graves, equation 14


def test_ponder_net_is_a_distribution_and_at_its_prior_costs_nothing():
    rule = PonderNet(PonderNetConfig(prior=0.2, beta=1.0), num_features=3)
    thought, last = thought_and_last(4, 6)
    weights = rule.weights(torch.full((1, 6), 0.5), thought, last)
    assert torch.allclose(weights, torch.tensor([[0.5, 0.25, 0.125, 0.125, 0.0, 0.0]]))
    geometric = torch.tensor([0.2 * 0.8**n for n in range(4)])
    geometric = geometric / geometric.sum()
    expected = (weights[0, :4] * (weights[0, :4] / geometric).log()).sum().item()
    assert rule.cost(weights, thought, last).item() == pytest.approx(expected, rel=1e-5)
    at_prior = torch.cat((geometric, torch.zeros(2)))[None]
    assert rule.cost(at_prior, thought, last).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("rule", "p", "halts_at"), [("act", 0.4, 3), ("act", 0.6, 2), ("pondernet", 0.2, 4)])
def test_sums_are_carried_from_segment_to_segment(rule, p, halts_at):
    """ACT stops where 0.4 + 0.4 + 0.4 exceeds 0.99; PonderNet's median at 0.2 is the fourth segment."""
    loop = Loop(tiny(agent="gru", halting=rule, num_envs=2, max_segments=8))
    policy = loop.policy
    policy.halting.head.bias.data.fill_(math.log(p / (1 - p)))
    state, halted = policy.initial_state(2), []
    for segment in range(1, 6):
        state, _, signals = policy(state, loop.obs)
        halted.append(bool(policy.halting.decide(signals, torch.full((2,), segment)).all()))
    assert halted.index(True) + 1 == halts_at and all(halted[halts_at - 1 :])


def test_the_rule_learns_from_an_episode_until_the_next_one_ends():
    loop = Loop(tiny(agent="gru", halting="pondernet", num_envs=2, max_segments=2))
    losses = [float(loop.step()["halting_loss"]) for _ in range(4)]
    assert losses[0] == 0 and all(loss > 0 for loss in losses[1:])


# ---- cells that halt -----------------------------------------------------------------------------


def test_cells_stop_earlier_the_more_of_their_probability_they_spend():
    def steps(bias):
        loop = Loop(tiny(agent="ut", num_envs=2, steps=6, cell_halt_bias=bias))
        state, output, _ = loop.policy(loop.state, loop.obs)
        return state.steps, output.aux_loss

    assert (steps(10.0)[0] == 1).all() and (steps(0.0)[0] == 2).all() and (steps(-3.0)[0] == 6).all()
    assert torch.allclose(steps(10.0)[1], torch.tensor(0.01 * (1 + 1)))  # N + R, with all left for the first step


# ---- stages of training --------------------------------------------------------------------------


def test_thoughts_are_added_stage_by_stage_and_the_average_knows_the_stage(tmp_path):
    config = tiny(agent="latent_tokens", num_envs=2, prefix_tokens=3, stage_steps=2)
    loop, counted = Loop(config), []
    average = loop.trainer.learner.average.policy.agent
    for _ in range(8):
        loop.step()
        assert average.num_thoughts == loop.policy.agent.num_thoughts
        counted.append(loop.policy.agent.num_thoughts)
    assert counted == [0, 1, 1, 2, 2, 3, 3, 3]
    checkpoints.save(tmp_path / "c.safetensors", loop.snapshot())
    assert Loop(config, checkpoints.load(tmp_path / "c.safetensors")).policy.agent.num_thoughts == 3


def test_a_thought_is_what_the_pass_before_said():
    """Without thoughts a second segment says the same; with them it goes on."""
    for stage_steps, same in ((1000, True), (0, False)):
        loop = Loop(tiny(agent="latent_tokens", num_envs=2, stage_steps=stage_steps))
        state, first, _ = loop.policy(loop.state, loop.obs)
        _, second, _ = loop.policy(state, loop.obs)
        assert torch.equal(first.logits, second.logits) == same


def test_the_reasoner_is_frozen_after_its_phase_and_the_gates_open_then():
    loop = Loop(tiny(agent="trans_nar", num_envs=4, pretrain_steps=3))
    agent = loop.policy.agent

    def copy():
        return [p.detach().clone() for p in agent.reasoner.parameters()], float(agent.looks[0].gate.detach())

    before = copy()
    for _ in range(3):
        loop.step()
    learned = copy()
    assert not all(map(torch.equal, before[0], learned[0])) and learned[1] == 0
    for _ in range(3):
        loop.step()
    frozen = copy()
    assert all(map(torch.equal, learned[0], frozen[0])) and frozen[1] != 0


@pytest.mark.rare
def test_closing_the_gate_takes_away_what_the_graph_network_gives(tmp_path):
    found = gates("Sudoku4x4-v0", tmp_path / "run", 200, max_steps=500, num_envs=32, **QUICK)
    assert found["open"] > 0.9 and found["open"] > found["closed"] + 0.5
    assert found["open"] > found["first"] + 0.2  # the algorithm goes on from segment to segment


# ---- the algorithms that it imitates -------------------------------------------------------------


def test_propagation_strikes_what_is_known_and_never_the_solution():
    spec = TaskSpec.of(make_task("Sudoku4x4-v0"))
    puzzles = make_task("Sudoku4x4-v0").dataset("validation").map(lambda array: array[:50])
    puzzle, solution = (torch.from_numpy(array).long() for array in puzzles[:2])
    algorithm = Propagation(spec)
    table = algorithm.start(puzzle)
    right = solution.unsqueeze(-1) == algorithm.tokens
    first = algorithm.step(puzzle, table)
    peers = neighbours_of(spec)
    for cell in range(16):  # of a blank cell exactly the digits given beside it are struck
        beside = puzzle[:, peers[cell]]
        for bit, token in enumerate(spec.group_symbols):
            expected = torch.where(puzzle[:, cell] == 0, ~(beside == token).any(1), puzzle[:, cell] == token)
            assert torch.equal(first[:, cell, bit], expected)
    for _ in range(16):
        table = algorithm.step(puzzle, table)
        assert table[right].all()
    assert (table.sum(-1) == 1).all(1).float().mean() > 0.5  # most 4x4 Sudokus are solved by it


def test_spreading_is_breadth_first_search():
    task = make_task("MazeSmall-v0")
    spec = TaskSpec.of(task)
    puzzles = task.dataset("validation").map(lambda array: array[:20])
    algorithm = Spreading(spec, neighbours_of(spec))
    puzzle = torch.from_numpy(puzzles.puzzle).long()
    table, start, goal = algorithm.start(puzzle), 2, 3
    beside = neighbours_of(spec)
    reached = torch.full((20,), -1)
    for step in range(1, 60):
        table = algorithm.step(puzzle, table)
        padded = torch.cat((table[..., start], torch.zeros(20, 1, dtype=torch.bool)), dim=1)
        at_goal = (padded[:, beside].any(2) & (puzzle == goal)).any(1)  # a cell beside the goal is reached
        reached = torch.where(at_goal & (reached < 0), step, reached)
    path = torch.from_numpy((puzzles.solution == 4).sum(1))  # cells between start and goal
    assert torch.equal(reached, path)


def test_without_a_graph_it_says_so_in_one_line():
    with pytest.raises(HrmGymError, match="names none") as error:
        Loop(tiny(env="ParityRow1x6-v0", agent="trans_nar"))
    assert "\n" not in str(error.value)


# ---- steps that cost something -------------------------------------------------------------------


@pytest.mark.rare
def test_dearer_steps_are_fewer(tmp_path):
    few = {"max_steps": 120, "num_envs": 16, "eval_steps": 120, "eval_puzzles": 16, "test_puzzles": 16}
    found = pondering_of_cells(tmp_path, (0.0, 0.3), 100, max_minutes=0.0, dtype="float32", hidden_size=32, **few)
    assert found[0.3][0] < found[0.0][0] - 0.5
