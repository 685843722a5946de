"""Agents as ONNX graphs: onnxruntime answers and halts as we do, without torch."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from loop import tiny

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.inference.think import think
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.load import load_agent
from hrm_gym.agents.saved.onnx_export import _trained, export_onnx, segment_of, traced_segment
from hrm_gym.agents.state import items
from hrm_gym.agents.training.run import train
from hrm_gym.envs.registration import make_task

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SMALL = {"h_cycles": 1, "l_cycles": 2}
DOCS = Path(__file__).parents[1] / "docs"


def session_of(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options)


def feeds_of(session, boards, seed=0):
    """The inputs of a first segment; the state is noise, which the graph must ignore."""
    rng = np.random.default_rng(seed)
    sizes = {"batch": len(boards), "rows": boards.shape[1], "columns": boards.shape[2]}
    feeds = {"puzzle": boards, "episode_start": np.ones(len(boards), bool)}
    for each in session.get_inputs():
        if each.name.startswith("state/"):
            noise = rng.normal(size=[sizes.get(axis, axis) for axis in each.shape])
            feeds[each.name] = noise.astype(np.int64 if "int64" in each.type else np.float32)
    return feeds


def segment_by(session, feeds):
    """The outputs of one segment by name, and the inputs of the next."""
    outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True))
    after = {name.replace("next/", "state/"): value for name, value in outputs.items() if "/" in name}
    return outputs, feeds | after | {"episode_start": np.zeros(len(feeds["puzzle"]), bool)}


def check_same(policy, path, boards, segments):
    """Whole episodes: the same answers and halts, and every segment the same numbers from the same state.

    Free-running states drift apart by rounding where thinking has not settled, in torch on another machine just so.
    """
    policy.agent.dtype = torch.float32
    flat, session = torch.from_numpy(boards.reshape(len(boards), -1)), session_of(path)
    feeds, state = feeds_of(session, boards), policy.initial_state(len(boards))
    free, answers, halts = feeds, [], []
    for number in range(1, segments + 1):
        theirs, feeds = segment_by(session, feeds)
        with torch.inference_mode():
            state, output, signals = policy(state, {"puzzle": flat})
            lead = policy.halting.lead(signals, torch.full((len(boards),), number))
        ours = {"logits": output.logits, "lead": lead, **signals} | {f"next/{name}": t for name, t in items(state)}
        for name, value in ours.items():
            np.testing.assert_allclose(theirs[name].reshape(value.shape), value, atol=1e-4, rtol=1e-4, err_msg=name)
        assert (theirs["next/segment"] == number).all()
        feeds |= {f"state/{name}": t.numpy().reshape(feeds[f"state/{name}"].shape) for name, t in items(state)}
        alone, free = segment_by(session, free)
        answers.append(alone["logits"].argmax(-1).reshape(flat.shape))
        halts.append(alone["lead"] > 0)
    for answer, halt, thought in zip(answers, halts, think(policy, flat, segments), strict=True):
        np.testing.assert_array_equal(halt, thought.halt)
        assert (answer == thought.answer.numpy()).mean() > 0.999  # near ties may fall otherwise before it halts
        np.testing.assert_array_equal(answer[halt], thought.answer[thought.halt])


def untrained(env, agent, halting="q_learning", **options):
    """A policy whose every weight does something."""
    task = make_task(env)
    config = tiny(env=env, agent=agent, halting=halting, **{**SMALL, **options})
    torch.manual_seed(0)
    policy = build(config, TaskSpec.of(task))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        policy.halting.head.bias.zero_()
    return policy.eval(), task


FORMS = {
    "hrm": ("Sudoku4x4-v0", {"hidden_size": 32}),
    "hrm_symbols": ("Sudoku6x6-v0", {"hidden_size": 16}),
    "trm_symbols": ("Sudoku4x4-v0", {"hidden_size": 16, "layers": 1}),
    "hrm_grid": ("MazeSmall-v0", {"hidden_size": 16}),
    "trm_grid": ("MazeSmall-v0", {"hidden_size": 16, "layers": 1}),
    "hrm_planes": ("MazeSmall-v0", {"hidden_size": 8, "mlp_size": 8}),
}


MARKS = {"hrm": (), **dict.fromkeys(("hrm_symbols", "hrm_grid"), pytest.mark.slow)}
"""How often forms are exported; other forms and shipped agents rarely, because an export takes about twenty seconds."""


def marked(names):
    """The names as parameters with their marks."""
    return [pytest.param(name, marks=MARKS.get(name, pytest.mark.rare)) for name in names]


@pytest.mark.parametrize("agent", marked(FORMS))
def test_each_form_answers_and_halts_as_ours(agent, tmp_path):
    env, options = FORMS[agent]
    policy, task = untrained(env, agent, **options)
    path = export_onnx(policy, tmp_path / "agent.onnx", env=env)
    boards = task.dataset("test").puzzle[:5].astype(np.int64).reshape(-1, *task.shape)
    if agent.endswith("symbols"):
        boards[3] = task.dataset("test").solution[3].reshape(task.shape)  # nothing is left to find
    check_same(policy, path, boards, 4)
    check_same(policy, path, boards[:1], 2)
    if agent.endswith("grid"):
        wide = np.random.default_rng(0).integers(0, 2, (3, 4, 7))
        resized = build(
            tiny(env=env, agent=agent, halting="q_learning", **{**SMALL, **options}), TaskSpec(4, 7, task.num_tokens)
        )
        resized.load_state_dict(policy.state_dict())
        check_same(resized.eval(), path, wide, 3)


def test_slots_begin_on_request(tmp_path):
    policy, task = untrained("Sudoku4x4-v0", "hrm", halting="act", hidden_size=16)
    session = session_of(export_onnx(policy, tmp_path / "agent.onnx", env="Sudoku4x4-v0"))
    boards = task.dataset("test").puzzle[:2].astype(np.int64).reshape(-1, 4, 4)
    first, feeds = segment_by(session, feeds_of(session, boards))
    second, _ = segment_by(session, feeds)
    mixed, _ = segment_by(session, feeds | {"episode_start": np.array([True, False])})
    for name in mixed:
        np.testing.assert_allclose(mixed[name][0], first[name][0], atol=1e-5)
        np.testing.assert_allclose(mixed[name][1], second[name][1], atol=1e-5)
    assert (mixed["next/segment"] == [1, 2]).all()


SHIPPED = (
    "Sudoku4x4-v0",
    "Sudoku6x6-v0",
    "SudokuExtreme-v0",
    "MazeSmall-v0",
    "MazeHard-v0",
)


@pytest.mark.parametrize("name", marked(SHIPPED))
def test_each_shipped_agent_answers_and_halts_as_ours(name, shipped):
    task = make_task(name)
    boards = task.dataset("test").puzzle[:4].astype(np.int64).reshape(-1, *task.shape)
    check_same(load_agent(name, "pretrained", "cpu"), shipped(name), boards, 6)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Exports a shipped agent, once."""
    folder = tmp_path_factory.mktemp("onnx")

    def path_of(name):
        path = folder / f"{name}.onnx"
        return path if path.exists() else export_onnx(f"pretrained:{name}", path)

    return path_of


def test_the_file_says_what_a_program_needs(hrm_gym, tmp_path):
    out = tmp_path / "agent.onnx"
    assert hrm_gym("export", "pretrained:Sudoku4x4-v0", "--onnx", out)[0] == 0
    facts = session_of(out).get_modelmeta().custom_metadata_map
    assert facts["env"] == "Sudoku4x4-v0" and facts["halting"] == "q_learning" and facts["max_segments"] == "16"
    assert json.loads(facts["tokens"]) == [".", "1", "2", "3", "4"] and float(facts["halting_threshold"]) == 0
    assert json.loads(facts["signals"]) == ["q_halt", "q_continue"] and facts["any_size"] == "false"
    assert str(Path(__file__).parents[1]).encode() not in out.read_bytes()  # no paths of this computer
    code, _, err = hrm_gym("export", "pretrained:Sudoku4x4-v0", "--onnx", out)
    assert code == 2 and "--overwrite" in err


def test_a_policy_in_hand_is_described_as_its_file(tmp_path):
    train(tiny(max_steps=1, max_segments=5, test_puzzles=2, eval_puzzles=2), tmp_path / "run")
    policy = load_agent("Sudoku4x4-v0", tmp_path / "run", "cpu")
    assert _trained(policy, "Sudoku4x4-v0", policy) == {"halting": "q_learning", "max_segments": 5}
    policy.source = None
    assert _trained(policy, "Sudoku4x4-v0", policy) == {"halting": "QLearning"}


def test_torch_export_takes_a_segment_with_any_batch():
    policy, task = untrained("MazeSmall-v0", "hrm_grid", hidden_size=16)
    segment = segment_of(policy)
    arguments = {
        "puzzle": torch.ones(2, 10, 10, dtype=torch.long),
        "episode_start": torch.ones(2, dtype=torch.bool),
        "state": segment.initial(2),
    }
    program = traced_segment(segment, arguments)
    board = torch.from_numpy(task.dataset("test").puzzle[:5].astype(np.int64)).view(-1, 10, 10)
    given = {"puzzle": board, "episode_start": torch.ones(5, dtype=torch.bool), "state": segment.initial(5)}
    for ours, theirs in zip(segment(**given), program.module()(**given), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_the_page_solves_a_sudoku_without_torch(shipped, tmp_path):
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", (DOCS / "onnx.md").read_text(), re.S) if "ort" in block
    )
    assert len(code.strip().splitlines()) <= 12
    script = tmp_path / "solve.py"
    script.write_text("import sys\nsys.modules['torch'] = sys.modules['hrm_gym'] = None\n" + code)
    (tmp_path / "sudoku.onnx").write_bytes(shipped("SudokuExtreme-v0").read_bytes())
    printed = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    answer = np.array([list(map(int, line)) for line in printed.split()])
    task = make_task("SudokuExtreme-v0")
    assert answer.shape == (9, 9) and not task.violations(answer.reshape(1, -1), answer.reshape(1, -1)).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "pretrained:Sudoku4x4-v0"), "--onnx"),
        (("export", "pretrained:Sudoku4x4-v0", "--onnx", "agent.bin"), ".onnx"),
        (("export", "nowhere", "--onnx", "agent.onnx"), "nowhere"),
        (("export", "pretrained", "--onnx", "agent.onnx"), "env"),
    ],
)
def test_bad_input_is_one_line(hrm_gym, arguments, words):
    code, _, error = hrm_gym(*arguments)
    assert code == 2 and words in error and error.count("\n") == 1


def test_without_the_exporter_one_line_says_what_to_install(hrm_gym, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, _, error = hrm_gym("export", "pretrained:Sudoku4x4-v0", "--onnx", "agent.onnx")
    assert code == 2 and 'pip install "hrm-gym[onnx]"' in error
