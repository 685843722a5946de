"""Looking inside: figures that can be checked by hand, and every analysis of every kind of agent."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from loop import tiny
from torch import nn

import hrm_gym as package
from hrm_gym.agents import Agent, Output, TaskSpec
from hrm_gym.agents.analysis import ANALYSES, Subject, findings
from hrm_gym.agents.analysis import subject as subject_module
from hrm_gym.agents.analysis.completion import with_hints
from hrm_gym.agents.analysis.difficulty import Difficulty, elimination_rounds, groups_of
from hrm_gym.agents.analysis.identity import embeddings
from hrm_gym.agents.analysis.interventions import Change
from hrm_gym.agents.analysis.participation import Moments
from hrm_gym.agents.analysis.recording import LAYERS, StateRecorder, record
from hrm_gym.agents.analysis.stopping import spearman
from hrm_gym.agents.analysis.subject import Beside, Settings, open_subject, think_through
from hrm_gym.agents.analysis.trajectories import measure, project
from hrm_gym.agents.halting.fixed import Fixed
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.build import build
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Puzzles, Task

SMALL = ("--puzzles", 24, "--traced", 6, "--draws", 20, "--max-segments", 18)


def subject(agent="hrm", env="Sudoku4x4-v0", **options):
    """An untrained agent as the subject."""
    config = dataclasses.replace(tiny(agent=agent, env=env, **options), dtype="float32")
    task = make_task(env)
    torch.manual_seed(0)
    policy, twin = (build(config, TaskSpec.of(task)).eval() for _ in range(2))
    puzzles = task.dataset("validation").map(lambda array: array[:12])
    settings = Settings(puzzles=12, traced=4, draws=20, max_segments=5)
    return Subject(policy, twin, task, puzzles, settings, 3, env)


# ---- the figures themselves ------------------------------------------------------------------------------


def test_the_participation_ratio_counts_dimensions():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 500, 1, 8))
    x[..., 5:] = 0.0
    assert Moments(x + 100.0).ratio(np.arange(20)) == pytest.approx(5, abs=0.02)
    line = rng.standard_normal((20, 50, 1)) * np.arange(1, 9.0)
    assert Moments(line).ratio(np.arange(20)) == pytest.approx(1)
    # A choice that repeats puzzles is that choice, and not all of them.
    chosen = np.array([3, 3, 7])
    flat = x[chosen].reshape(-1, 8)
    values = np.linalg.eigvalsh(np.cov(flat.T, bias=True))
    assert Moments(x).ratio(chosen) == pytest.approx(values.sum() ** 2 / (values**2).sum())
    rows = rng.integers(20, size=(7, 4))
    assert Moments(x).ratios(rows) == pytest.approx([Moments(x).ratio(row) for row in rows])


def test_projection_keeps_distances_of_points_in_a_plane():
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((5, 4, 2)) @ rng.standard_normal((2, 30))
    points, shares = project(plane)
    a, b = plane.reshape(20, -1), points.reshape(20, 2)
    assert np.allclose(np.linalg.norm(a[:, None] - a, axis=2), np.linalg.norm(b[:, None] - b, axis=2))
    assert shares.sum() == pytest.approx(1)


def test_no_more_paths_are_recorded_than_asked_for():
    looked = subject()
    assert (~looked.long.right[:, looked.trained_segments - 1]).sum() > looked.settings.traced  # untrained
    assert len(measure(looked)["puzzles"]) == looked.settings.traced


def test_rank_correlation_with_ties():
    a, b = np.array([1, 2, 2, 3]), np.array([10, 20, 20, 25])
    assert spearman(a, b) == pytest.approx(1) and spearman(a, -b) == pytest.approx(-1)
    assert spearman(a, np.ones(4)) == 0


def test_elimination_fills_boards_round_by_round():
    task = make_task("Sudoku6x6-v0")
    some = task.dataset("validation").map(lambda array: array[:50])
    rounds, solved = elimination_rounds(task, some.puzzle)
    guesses = task.rate(some.puzzle)
    assert solved[guesses == 0].all() and len(np.unique(rounds)) > 3
    one_open = some.solution.copy()
    one_open[:, 7] = task.blank
    assert elimination_rounds(task, one_open)[0].tolist() == [1] * 50
    assert elimination_rounds(task, some.solution)[0].tolist() == [0] * 50


def test_groups_are_ordered_and_whole():
    values = np.array([0] * 70 + [1] * 20 + [2] * 9 + [9])
    groups = groups_of(Difficulty("", np.random.default_rng(0).permutation(values)))
    assert sum(len(group.members) for group in groups) == 100 and all(len(group.members) > 1 for group in groups)
    assert groups[0].label == "0" and groups[-1].label.endswith("9")


def test_hints_leave_so_many_cells_open_and_tell_the_truth():
    task = make_task("Sudoku4x4-v0")
    some = task.dataset("validation").map(lambda array: array[:9])
    shown = with_hints(task, some, np.arange(9), np.random.default_rng(0))
    assert (shown.puzzle == task.blank).sum(1).tolist() == list(range(9))
    given = shown.puzzle != task.blank
    assert (shown.puzzle[given] == some.solution[given]).all() and given[some.puzzle != task.blank].all()


def test_the_recorder_sees_calls_that_turn_a_state_into_the_next():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fast, self.slow, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, slow, fast):
            for _ in range(2):
                fast = self.fast(fast)
            slow = self.slow(slow)
            self.head(slow), self.fast(torch.ones_like(slow))  # neither is a step of a state
            return slow, fast

    net, recorder = Two(), StateRecorder()
    slow, fast = torch.ones(3, 4), torch.zeros(3, 4) + 0.5
    with recorder.on(net):
        recorder.begin({"slow": slow, "fast": fast})
        net(slow, fast)
    assert [name for name, _ in recorder.calls] == ["fast", "fast", "slow"]
    new = net.fast(fast)
    assert torch.allclose(recorder.calls[0][1], (new - fast).norm(dim=1) / new.norm(dim=1))
    recorder.begin({})
    net(slow, fast)
    assert not recorder.calls  # the hooks are gone


def test_changes_to_a_state():
    looked = subject()
    policy, task = looked.policy, looked.task

    def run(change):
        seen = []

        def spy(segment, state):
            state = change(segment, state)
            seen.append(state.z_h)
            return state

        think_through(policy, task, looked.puzzles, 4, spy)
        return seen

    start = policy.initial_state(12).z_h
    free = run(lambda segment, state: state)
    frozen, reset, exchanged = (
        run(Change(kind, "z_h", 2, policy.initial_state)) for kind in ("frozen", "reset", "exchanged")
    )
    assert torch.equal(frozen[2], free[2]) and torch.equal(frozen[3], frozen[2]) and not torch.equal(free[3], free[2])
    assert all(torch.equal(state, start) for state in reset)
    assert torch.equal(exchanged[1], free[1]) and torch.equal(exchanged[2], free[2].roll(1, 0))


# ---- every analysis of every agent -----------------------------------------------------------------------


@pytest.mark.parametrize("agent", ["hrm", "trm", "trm_symbols", "conv_gru", "direct"])
def test_every_analysis_of_every_agent(agent):
    from matplotlib.figure import Figure

    looked, names = subject(agent), set()
    for finding in findings(looked, list(ANALYSES.values())):
        if isinstance(finding, tuple):
            assert "\n" not in finding[1]
            continue
        names.add(finding.analysis.name)
        fields = json.loads(json.dumps(finding.to_dict(), allow_nan=False))
        assert fields["conditions"]["agent"] == agent and len(finding.text) > 40
        assert "nan" not in finding.text
        assert isinstance(finding.plot(), Figure)
    assert names == set(ANALYSES) - {"identity"}  # Sudokus have none


def test_what_a_halting_rule_carries_is_no_state_of_the_agent():
    plain, carrying = subject(), subject(halting="act")
    carrying.policy.agent.load_state_dict(plain.policy.agent.state_dict())
    assert isinstance(carrying.policy.initial_state(1), dict)
    ours, theirs = plain.trained.states, carrying.trained.states
    assert list(ours) == list(theirs) == ["z_h", "z_l"]
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert np.array_equal(plain.long.residual, carrying.long.residual)
    changed = [ANALYSES["interventions"].measure(looked)["rows"] for looked in (plain, carrying)]
    assert changed[0] == changed[1] and {row["tensor"] for row in changed[0]} == {"z_h", "z_l"}


def test_residuals_are_listed_call_by_call():
    finding = next(findings(subject("hrm", h_cycles=2, l_cycles=3), [ANALYSES["convergence"]]))
    assert [row["tensor"] for row in finding.figures["trained"][:8]] == ["z_l"] * 3 + ["z_h"] + ["z_l"] * 3 + ["z_h"]


def test_the_residuals_of_a_recurrent_network_are_those_of_its_updates():
    looked = subject("gru", updates=3)
    agent, seen = looked.policy.agent, []
    hook = agent.cell.register_forward_hook(lambda cell, arguments, new: seen.append((arguments[1], new)))
    rows = record(looked.policy, looked.traced, 2).residuals
    hook.remove()
    assert [(row["segment"], row["call"]) for row in rows] == [(s, c) for s in (1, 2) for c in range(3)]
    for row, (old, new) in zip(rows, seen, strict=True):
        old, new = (state.reshape(4, -1) for state in (old, new))  # of the four puzzles
        assert row["median"] == pytest.approx(((new - old).norm(dim=1) / new.norm(dim=1)).quantile(0.5).item(), 1e-4)


def test_the_residuals_of_a_feed_forward_network_are_those_of_its_layers():
    looked = subject("direct", layers=5)
    rows = record(looked.policy, looked.traced, 1).residuals
    assert [row["tensor"] for row in rows] == [LAYERS] * 5 and min(row["median"] for row in rows) > 0


def test_agents_beside_it_are_measured_drawn_and_told():
    looked = subject("hrm")
    others = [Beside(subject(agent).policy, segments, agent) for agent, segments in (("gru", 3), ("direct", 1))]
    both = dataclasses.replace(looked, beside=tuple(others))
    alone, finding = (next(findings(one, [ANALYSES["convergence"]])) for one in (looked, both))
    assert finding.text.startswith(alone.text) and not alone.figures["beside"]
    assert "gru (" in finding.text and "layers moves" in finding.text and "z_h stays" in finding.text
    assert [other["agent"] for other in finding.figures["beside"]] == ["gru", "direct"]
    titles = [axes.get_title(loc="left") for axes in finding.plot().axes]
    assert titles == ["trained", "untrained", "beside: gru", "beside: direct"]


def test_an_agent_without_a_state_gets_the_analyses_that_need_none():
    looked = subject("hrm")
    looked.policy.agent.tensors = lambda state: {}
    found = {(f[0] if isinstance(f, tuple) else f.analysis).name: f for f in findings(looked, list(ANALYSES.values()))}
    left_out = {name for name, finding in found.items() if isinstance(finding, tuple)}
    assert left_out == {"participation", "convergence", "trajectories", "interventions", "identity"}
    assert "Agent.tensors" in found["participation"][1]


def test_a_family_whose_solutions_are_not_given_in_part():
    finding = next(findings(subject("hrm", "MazeSmall-v0"), [ANALYSES["completion"]]))
    assert isinstance(finding, tuple) and "hintable" in finding[1]


class Shifted(Task):
    """Which number is added to every cell depends on the identity alone."""

    shape, symbols, verifiable, identities = (2, 2), "01234567", False, ("one", "two", "three")

    def sample(self, num, rng):
        puzzle, identity = rng.integers(0, 8, (num, 4)).astype(np.uint8), np.arange(num) % 3
        return Puzzles(puzzle, ((puzzle + identity[:, None] + 1) % 8).astype(np.uint8), identity)

    def violations(self, puzzle, answer):
        return (answer * 0).sum(-1)


class Shifting(Agent):
    """Reads the number to add from its embedding of the identity, and nothing else; 0 where that is zero."""

    def __init__(self, spec, sparse=True):
        super().__init__(None, spec)
        self.table = nn.Embedding(spec.num_identities, 8, sparse=sparse)
        self.table.weight.data = torch.eye(8)[1:4] * 2.0

    def initial_state(self, num):
        return torch.zeros(num, 4, 1)

    def forward(self, state, obs):
        logits = torch.stack([self.table(obs["puzzle_id"]).roll(i, 1) for i in range(8)], dim=1)[
            torch.arange(len(state))[:, None], obs["puzzle"]
        ]
        return state, Output(logits, state.new_zeros(len(state), 1))


def shifting(num=30, sparse=True):
    task = Shifted()
    agent = Shifting(TaskSpec.of(task), sparse)
    policy = Policy("shifting", agent, Fixed(Fixed.Config(), 1)).eval()
    return Subject(policy, policy, task, task.sample(num, np.random.default_rng(0)), Settings(), 3)


def test_the_embedding_of_the_task_is_exchanged_zeroed_and_randomised():
    looked = shifting()
    table = looked.policy.agent.table
    before = table.weight.clone()
    finding = next(findings(looked, [ANALYSES["identity"]]))
    share = {row["embedding"]: row["right"]["share"] for row in finding.figures["rows"]}
    assert share["right"] == 1 and share["exchanged"] == 0 and share["zeroed"] < 0.2 and share["random"] < 1
    assert finding.figures["tasks"] == 3 and "knows the task by its embedding" in finding.text
    assert len(finding.plot().axes) == 1
    # The agent is afterwards the same.
    assert torch.equal(table.weight, before) and looked.long.right.all()
    # Each identity reads the vector of the next task, and a random one has the length of its own.
    asked = torch.tensor([0, 1, 2])
    vectors = embeddings(table, asked, 1, np.random.default_rng(0))
    assert torch.equal(vectors["exchanged"], before.roll(-1, 0))
    assert torch.allclose(vectors["random"].norm(dim=1), torch.full((3,), 2.0))
    # Forms of one task are no other task.
    forms = embeddings(table, asked, 2, np.random.default_rng(0))["exchanged"]
    assert torch.equal(forms, before[[2, 2, 0]])


def test_an_embedding_that_does_not_matter():
    looked = shifting()
    looked.policy.agent.table.weight.data[:] = torch.eye(8)[1]
    same = dataclasses.replace(looked, puzzles=looked.puzzles.map(lambda array: array[::3]))  # only "one"
    (left_out,) = findings(same, [ANALYSES["identity"]])
    assert "belong to one task" in left_out[1]
    finding = next(findings(looked, [ANALYSES["identity"]]))
    assert "puzzle alone" in finding.text


def test_agents_without_an_embedding_of_tasks_say_so_in_one_line():
    for looked, words in ((subject(), "no task identity"), (shifting(sparse=False), "sparse nn.Embedding with 3 rows")):
        (left_out,) = findings(looked, [ANALYSES["identity"]])
        assert words in left_out[1] and "\n" not in left_out[1]


def test_untouched_boards_are_what_evaluation_says():
    looked = subject()
    depth = next(findings(looked, [ANALYSES["depth"]])).figures
    right = looked.long.right
    assert [share["share"] for share in depth["after"]] == pytest.approx(right.mean(0), abs=1e-5)
    halves = [Puzzles(*(None if a is None else a[part] for a in looked.puzzles)) for part in (slice(5), slice(5, None))]
    again = np.concatenate([think_through(looked.policy, looked.task, half, 5).right for half in halves])
    assert (again == right).all()


def test_a_state_at_rest_is_not_thought_about_again_and_nothing_changes(monkeypatch):
    looked = open_subject("Sudoku4x4-v0", "pretrained", puzzles=24, device="cpu")
    policy, forward, thought = looked.policy, looked.policy.forward, []
    monkeypatch.setattr(policy, "forward", lambda state, obs: thought.append(len(obs["puzzle"])) or forward(state, obs))
    ours = looked.long
    monkeypatch.setattr(subject_module, "REST", 0.0)
    theirs = think_through(policy, looked.task, looked.puzzles, looked.max_segments)
    assert sum(thought[-looked.max_segments :]) == 24 * looked.max_segments
    assert sum(thought[: -looked.max_segments]) < 0.7 * 24 * looked.max_segments
    for name in ("right", "changed", "halt"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
    assert np.allclose(ours.residual, theirs.residual, atol=1e-6)


def test_states_are_recorded_once_for_all_analyses(monkeypatch):
    looked, thought = subject(), []
    forward = looked.policy.forward
    monkeypatch.setattr(looked.policy, "forward", lambda state, obs: thought.append(1) or forward(state, obs))
    for name in ("participation", "convergence"):
        ANALYSES[name].measure(looked)
    assert len(thought) == looked.trained_segments


def test_tokens_that_a_state_holds_do_not_rest_while_they_change():
    before = {"image": torch.ones(3, 2), "tokens": torch.tensor([[1, 2], [1, 2], [1, 2]])}
    after = {"image": torch.ones(3, 2), "tokens": torch.tensor([[1, 2], [1, 3], [1, 2]])}
    after["image"][2] = 1.1
    assert subject_module._rests(before, after).tolist() == [True, False, False]


def test_fewer_puzzles_are_solved_again_under_changes():
    looked = subject()
    looked = dataclasses.replace(looked, settings=dataclasses.replace(looked.settings, changed=5))
    for name in ("completion", "interventions"):
        rows = ANALYSES[name].measure(looked)["rows"]
        shares = [row.get("right") or row["after_all_segments"] for row in rows]
        assert {share["puzzles"] for share in shares} == {5}
    first = ANALYSES["completion"].measure(looked)["rows"][0]["after_all_segments"]
    assert first["share"] == pytest.approx(looked.long.right[:5, 2].mean())  # the puzzles as they are


# ---- the doors -------------------------------------------------------------------------------------------


def test_the_command_writes_figures_plots_and_a_summary(hrm_gym, tmp_path):
    code, out, _ = hrm_gym("analyze", "--env", "Sudoku4x4-v0", "--out", tmp_path, *SMALL, "--what", "depth", "stopping")
    assert code == 0 and "depth: " in out
    assert {path.name for path in tmp_path.iterdir()} == {
        *("depth.json", "depth.png", "stopping.json", "stopping.png", "summary.md")
    }
    figures = json.loads((tmp_path / "depth.json").read_text())
    assert figures["conditions"]["puzzles"] == 24 and len(figures["figures"]["after"]) == 18
    assert figures["text"] in (tmp_path / "summary.md").read_text()


def test_the_same_from_python():
    (finding,) = package.analyze("Sudoku4x4-v0", what=["participation"], puzzles=4, traced=4, draws=20)
    trained, untrained = finding.figures["trained"]["z_h"], finding.figures["untrained"]["z_h"]
    assert trained["dimensions"] == untrained["dimensions"]
    assert 1 <= trained["ratio"][-1] < trained["dimensions"] and trained["ratio"] != untrained["ratio"]
    low, high = trained["interval"][-1]
    assert low < high


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--env", "Sudoku4x4-v0", "--what", "dpeth"), "did you mean 'depth'"),
        ((), "give --env"),
        (("--env", "Sudoku4x4-v0", "--max-segments", 2), "episodes of 16"),
        (("--env", "ARC1-v0"), "no agent is shipped"),
        (("--env", "Sudoku4x4-v0", "--out", __file__), "not a folder"),
    ],
)
def test_bad_input_is_one_line(hrm_gym, arguments, words):
    code, _, error = hrm_gym("analyze", *arguments)
    assert code == 2 and words in error and error.count("\n") == 1
