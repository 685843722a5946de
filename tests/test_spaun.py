"""spaun: neurons against nengo's own, the memory, the race of actions, and list recall."""

import sys

import numpy as np
import pytest
import torch

from examples.lineage.spaun_list import recall
from hrm_gym import HrmGymError, make_task
from hrm_gym.agents import TaskSpec
from hrm_gym.agents.lineage.spaun import DT, TAU_RC, TAU_REF, Population, Spaun, SpaunConfig, pointers, tuning

nengo = pytest.importorskip("nengo")


def agent_for(env_id, **options):
    return Spaun(SpaunConfig(**{"dimensions": 64, "neurons": 10, "show": 5, "race": 20} | options), spec_of(env_id))


def spec_of(env_id):
    return TaskSpec.of(make_task(env_id))


def test_no_process_waits_for_the_cache_of_another(monkeypatch):
    """nengo's cache of decoders is locked by whoever builds, and others wait for ten seconds each time."""
    monkeypatch.setattr("nengo.cache.DecoderCache.__enter__", lambda cache: pytest.fail("nengo's cache was opened"))
    tuning.cache_clear()
    assert all(len(array) == 20 and np.isfinite(array).all() for array in tuning(20, 1.0))


def test_neurons_fire_as_those_of_nengo():
    population = Population(20, 1.0)
    x = 0.8
    with nengo.Network(seed=0) as network:
        ensemble = nengo.Ensemble(20, 1, neuron_type=nengo.LIF(TAU_RC, TAU_REF))
        nengo.Connection(nengo.Node(x), ensemble, synapse=None)
        probe = nengo.Probe(ensemble.neurons)
    with nengo.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run(0.5)
    theirs = (simulator.data[probe] > 0).sum(0)
    voltage, refractory, spikes = torch.zeros(20), torch.zeros(20), torch.zeros(20)
    for _ in range(500):
        voltage, refractory, fired = population(voltage, refractory, torch.tensor(x))
        spikes += fired * DT
    assert spikes.sum() > 300 and np.abs(spikes.numpy() - theirs).max() <= 1
    assert float(spikes @ population.decoders) / 0.5 == pytest.approx(x, abs=0.05)


def test_pairs_are_circular_convolutions_that_keep_their_length():
    agent = agent_for("Sudoku4x4-v0")
    rng = np.random.default_rng(0)
    cells, symbols = pointers(rng, 16, 64), pointers(rng, 5, 64)
    expected = [sum(cells[3, j] * symbols[2, (i - j) % 64] for j in range(64)) for i in range(64)]
    assert np.allclose(agent.pairs[3, 2].numpy(), expected, atol=1e-5)
    assert torch.allclose(agent.pairs.norm(dim=-1), torch.ones(16, 5), atol=1e-4)


def test_what_is_shown_is_held_and_slots_that_wait_stand_still():
    agent = agent_for("Sudoku4x4-v0", dimensions=256, neurons=30)
    puzzle = torch.zeros(2, 16, dtype=torch.long)
    puzzle[:, [2, 9]] = torch.tensor([[3, 1], [4, 2]])
    with torch.no_grad():
        one, output = agent(agent.initial_state(2), {"puzzle": puzzle})
    recalled = agent.recall(one)
    assert (recalled.argmax(-1)[:, [2, 9]] == puzzle[:, [2, 9]]).all()
    assert output.logits.argmax(-1)[:, [2, 9]].equal(puzzle[:, [2, 9]])
    shown = recalled.gather(2, puzzle.unsqueeze(-1))[:, [2, 9], 0]
    assert ((shown > 0.7) & (shown < 1.3)).all()
    kept = agent._write(one, agent.pairs[0, puzzle[:, 2]], torch.tensor([True, False]))
    assert torch.equal(kept.voltage[1], one.voltage[1]) and not torch.equal(kept.voltage[0], one.voltage[0])
    assert torch.equal(kept.memory[1], one.memory[1])


def test_the_race_is_won_by_a_digit_that_has_one_place():
    task = make_task("Sudoku4x4-v0")
    agent = agent_for("Sudoku4x4-v0", dimensions=256, neurons=30, show=20, race=50)
    puzzle = torch.as_tensor(task.parse("123." + "." * 12)[None].astype(np.int64))
    with torch.no_grad():
        state, _ = agent(agent.initial_state(1), {"puzzle": puzzle})
        pair, sure = agent._act(state)
        assert divmod(int(pair), 5) == (3, 4) and sure.all()
        state, output = agent(state, {"puzzle": puzzle})
        assert output.logits[0, :4].argmax(-1).tolist() == [1, 2, 3, 4] and state.segments.tolist() == [2]
        agent.config = SpaunConfig(dimensions=256, least_utility=5.0)
        assert not agent._act(state)[1].any()


@pytest.mark.slow
def test_short_lists_are_recalled_and_long_ones_worse():
    shares = {length: float(np.mean(right)) for length, right in recall((4, 30), 96, 24).items()}
    assert shares[4] > 0.9 and 0.2 < shares[30] < shares[4] - 0.15


def test_without_nengo_or_on_a_large_board_it_says_so_in_one_line(monkeypatch):
    with pytest.raises(HrmGymError, match="at most 100 cells") as error:
        agent_for("MazeHard-v0")
    assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "nengo", None)
    tuning.cache_clear()
    with pytest.raises(HrmGymError, match=r"hrm-gym\[spaun\]") as error:
        agent_for("Sudoku4x4-v0")
    assert "\n" not in str(error.value)
