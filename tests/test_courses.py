"""Courses: a run in stages, and giving up as the third action of puzzles with guesses."""

import dataclasses

import numpy as np
import pytest
import torch

import hrm_gym
from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.halting.q_learning import QLearning, QLearningConfig
from hrm_gym.agents.halting.rule import halting_label
from hrm_gym.agents.registry import agent_class
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training.course import stages
from hrm_gym.cli import main
from hrm_gym.envs.guesses import HASTE, sound
from hrm_gym.envs.registration import make_task, task_arguments
from hrm_gym.errors import HrmGymError
from tests.loop import Loop, tiny

SYMBOLS = {"agent": "hrm_symbols", "message_size": 8, "mlp_size": 8, "compile": False, "gradient": "last_cycle"}


def small(course, **options):
    return tiny(env="Sudoku6x6-v0", course=course, max_steps=6, **{**SYMBOLS, **options})


# ---- the text ---------------------------------------------------------------------------------------


def test_stages_have_shares_and_changes():
    first, second = stages(small("0.25 env=Sudoku4x4-v0 num_envs=4; 0.75 hints=0.5"))
    assert (first.begins, second.begins) == (0.0, 0.25)
    assert (first.config.env, first.config.num_envs, first.config.hints) == ("Sudoku4x4-v0", 4, 0.0)
    assert (second.config.env, second.config.num_envs, second.config.hints) == ("Sudoku6x6-v0", 8, 0.5)
    assert len(stages(small(""))) == 1


def test_another_family_has_its_own_puzzles_and_arguments():
    course = "0.5 env=MazeSmall-v0 task_args=size=12,min_path=20; 0.5"
    first, second = stages(
        tiny(env="MazeHard-v0", agent="hrm_grid", task_args="redrawn=1", num_examples=9, course=course)
    )
    assert (first.config.task_args, first.config.num_examples) == ("size=12,min_path=20", 0)
    assert (second.config.task_args, second.config.num_examples) == ("redrawn=1", 9)


@pytest.mark.parametrize(
    ("course", "says"),
    [
        ("0.5; 0.4", "add up to 0.9"),
        ("half", "begins with 'half'"),
        ("0.5;", "begins with ''"),
        ("nan; 1", "begins with 'nan'"),
        ("0.5 lr=1; 0.5", "'lr'"),
        ("0.5 num_envs=many; 0.5", "'num_envs=many'"),
        ("0.5 num_envs=0; 0.5", "num_envs is 0"),
    ],
)
def test_a_course_that_cannot_be_read_is_refused_in_one_line(course, says):
    with pytest.raises(HrmGymError, match=says) as caught:
        stages(small(course))
    assert "\n" not in str(caught.value)


def test_a_course_needs_a_budget_and_an_agent_for_all_its_boards():
    with pytest.raises(HrmGymError, match="this run has none: give --max-minutes"):
        Loop(dataclasses.replace(small("0.5; 0.5"), max_steps=0))
    with pytest.raises(HrmGymError, match="'hrm' has weights for one size of board"):
        Loop(tiny(env="Sudoku6x6-v0", course="0.5 env=Sudoku4x4-v0; 0.5", max_steps=4))


@pytest.mark.parametrize(
    ("course", "says"),
    [
        ("0.5; 0.5 env=Sudoku5x5-v0", "stage 2 of the course: unknown environment 'Sudoku5x5-v0'"),
        ("0.5; 0.5 env=Sudoku4x4-v0 task_args=size=3", "stage 2 of the course: .*size"),
        ("0.2; 0.2; 0.6 env=Copy-v0 guesses=0.5", "stage 3 of the course: guesses=0.5: only"),
        ("0.5 env=Copy-v0 hints=0.5; 0.5", "stage 1 of the course: hints=0.5: only"),
    ],
)
def test_a_stage_that_cannot_run_is_refused_before_the_first_one(course, says):
    with pytest.raises(HrmGymError, match=says):
        Loop(small(course))


# ---- the run ----------------------------------------------------------------------------------------


def weights(loop):
    return torch.cat([t.flatten() for t in loop.policy.state_dict().values()])


def test_the_learner_goes_on_where_the_puzzles_change():
    loop = Loop(small("0.5 env=Sudoku4x4-v0 num_envs=4; 0.5 guesses=0.5"))
    for _ in range(3):
        loop.step()
    assert loop.obs["puzzle"].shape == (4, 16)
    before, steps = weights(loop), loop.trainer.learner.steps
    judged = loop.trainer.judged()
    assert judged.agent.spec.num_cells == 36  # it is judged on what it is to learn
    assert torch.equal(judged.state_dict()["agent.start"], loop.trainer.learner.average.policy.agent.start)
    moments = loop.trainer.learner._optimizer.state_dict()["state"][0]["exp_avg"].clone()
    loop.trainer.learner.steps = 3
    loop.trainer.prepare()
    assert loop.trainer.stage == 1 and loop.obs["puzzle"].shape == (8, 36)
    assert torch.equal(weights(loop), before) and loop.trainer.learner.steps == steps
    assert torch.equal(loop.trainer.learner._optimizer.state_dict()["state"][0]["exp_avg"], moments)
    loop.step()
    assert not torch.equal(weights(loop), before)
    assert loop.experience.sound is not None and loop.trainer.judged() is loop.trainer.learner.average.policy


@pytest.mark.parametrize("stop", [2, 5], ids=["in the first stage", "in the second"])
def test_a_course_resumes_bit_for_bit_in_any_stage(stop):
    config = small("0.5 env=Sudoku4x4-v0 num_envs=4; 0.5", growth=0.5)

    def stepped(loop, num):
        for _ in range(num):
            loop.step()
        return loop

    whole = stepped(Loop(config), 6)
    resumed = stepped(Loop(config, stepped(Loop(config), stop).snapshot()), 6 - stop)
    assert torch.equal(weights(whole), weights(resumed))
    assert torch.equal(whole.obs["puzzle"], resumed.obs["puzzle"])


def test_a_whole_course_by_the_command_ends_in_one_folder(tmp_path):
    run = hrm_gym.train(
        "Sudoku6x6-v0",
        "hrm_symbols",
        course="0.5 env=Sudoku4x4-v0 num_envs=2; 0.5 guesses=0.5",
        halting="q_learning",
        give_up=True,
        run_dir=str(tmp_path / "run"),
        device="cpu",
        compile=False,
        max_steps=4,
        eval_steps=3,  # so that a report spans both stages
        eval_puzzles=4,
        test_puzzles=4,
        hidden_size=8,
        num_envs=4,
    )
    assert run.result["training"]["steps"] == 4
    assert run.load().agent.spec.num_cells == 36


# ---- giving up --------------------------------------------------------------------------------------


def test_giving_up_pays_where_a_guess_is_wrong_and_costs_where_none_is():
    envs = hrm_gym.make_vec("Sudoku4x4-v0", num_envs=256, guesses=0.9, autoreset_mode="SameStep")
    obs, info = envs.reset(seed=1)
    assert envs.single_action_space.nvec[-1] == 3
    can_be_solved = sound(envs.unwrapped.task, obs["puzzle"], info["solution"])
    assert 20 < (~can_be_solved).sum() < 236
    actions = np.concatenate([obs["answer"], np.full((256, 1), 2)], 1)
    _, reward, terminated, _, _ = envs.step(actions)
    assert terminated.all() and (reward == np.where(can_be_solved, -HASTE, 1.0)).all()


def test_nothing_can_be_given_up_where_no_guess_is_shown():
    envs = hrm_gym.make_vec("Sudoku4x4-v0", num_envs=2)
    assert envs.single_action_space.nvec[-1] == 2


def test_the_rule_takes_the_action_of_the_largest_value():
    rule = QLearning(QLearningConfig(give_up=True, exploration=0.0), 4)
    assert rule.signals == ("q_halt", "q_continue", "q_give_up") and rule.gives_up
    signals = {  # sure to be right; sure to be hopeless; likely hopeless, which is not worth the risk
        "q_halt": torch.tensor([4.0, -4.0, -4.0]),
        "q_continue": torch.tensor([0.0, -1.0, -1.0]),
        "q_give_up": torch.tensor([-4.0, 4.0, 1.0]),
    }
    segment, uniforms = torch.tensor([3, 3, 3]), torch.ones(3, 2)
    assert rule.explore(signals, segment, uniforms).tolist() == [1, 2, 0]
    assert rule.decide(signals, segment).tolist() == [True, False, False]
    assert torch.equal(rule.solvable(signals), -signals["q_give_up"])
    assert not QLearning(QLearningConfig(), 4).gives_up


def test_the_value_of_continuing_counts_that_one_may_give_up_later():
    rule = QLearning(QLearningConfig(give_up=True, gamma=0.5), 4)
    following = {name: torch.tensor([-9.0]) for name in ("q_halt", "q_continue")}
    for last in (False, True):
        target = rule._bootstrapped(
            {**following, "q_give_up": torch.tensor([9.0])}, torch.tensor([last]), torch.zeros(1)
        )
        assert torch.allclose(target, torch.tensor([0.5]), atol=1e-3)


def test_what_was_given_up_says_nothing_of_the_answer():
    loop = Loop(
        tiny(agent="hrm_symbols", message_size=8, mlp_size=8, guesses=1.0, give_up=True, num_envs=32, compile=False)
    )
    loop.trainer.policy.halting.explore = lambda signals, segment, uniforms: torch.full_like(segment, 2)
    loop.step()
    experience = loop.experience
    assert experience.given_up.all() and experience.ended.all() and not experience.halted.any()
    assert torch.equal(halting_label(experience), experience.right.float())


# ---- the presets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["SudokuExtreme-v0", "Sudoku9x9-v0", "MazeSmall-v0", "MazeHard-v0"])
def test_the_flagship_is_hrm_with_q_learning_through_the_last_cycle(env):
    config = resolve({"env": env, "device": "cpu"})
    assert config.agent in ("hrm_symbols", "hrm_grid") and config.halting == "q_learning"
    assert config.agent_options.gradient == "last_cycle"
    assert len(stages(config)) == (1 if env == "MazeSmall-v0" else 3)
    assert stages(config)[-1].config.env == env


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if "course" in preset.options])
def test_every_course_of_a_preset_can_be_built(preset):
    for env in PRESETS[preset].envs:
        config = resolve({"env": env, "preset": preset, "device": "cpu", "compile": False})
        for stage in stages(config):
            task = make_task(stage.config.env, **task_arguments(stage.config.task_args))
            assert agent_class(config.agent).fits(TaskSpec.of(task), TaskSpec.of(make_task(env)))


def test_a_course_is_left_out_where_it_has_no_meaning():
    assert not resolve({"env": "Sudoku6x6-v0", "preset": "sudoku", "device": "cpu"}).course
    other = resolve({"env": "MazeHard-v0", "init_from": "a_run", "device": "cpu"})
    assert (other.course, other.task_args) == ("", "")


def test_a_course_is_left_out_by_the_command_and_for_puzzles_in_hand(tmp_path, monkeypatch):
    configs = []
    monkeypatch.setattr("hrm_gym.agents.training.run.train", lambda config, *_: configs.append(config))
    monkeypatch.setattr("hrm_gym.api._train", lambda config, *_: configs.append(config))
    options = {"run_dir": str(tmp_path / "run"), "device": "cpu"}
    main(["train", "--env", "MazeHard-v0", "--init-from", "a_run", "--device", "cpu", "--run-dir", options["run_dir"]])
    dataset = make_task("MazeHard-v0").dataset("test").puzzle[:2]
    hrm_gym.train("MazeHard-v0", dataset=dataset, **options)
    hrm_gym.train("MazeHard-v0", dataset=dataset, task_args="redrawn=2", **options)
    assert [(config.course, config.task_args) for config in configs] == [("", ""), ("", ""), ("", "redrawn=2")]
