"""The native batch as Stable-Baselines3's: the same as its own batch of single environments, under all its wrappers."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from batches import N, actions, equal, solutions
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize, VecVideoRecorder

from hrm_gym import HrmGymError
from hrm_gym.sb3 import NativeVecEnv, make_vec_env

SMALL = {"n_steps": 4, "batch_size": 12, "n_epochs": 1, "device": "cpu", "seed": 0}


def native(env="Sudoku4x4-v0", num=N, **options):
    return make_vec_env(env, num, seed=3, monitor=False, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"max_segments": 4, "segment_cost": 0.25},
        {"action_type": "edit", "obs_type": "flat", "max_segments": 4},
        {"max_segments": 5, "max_episode_steps": 2},
        {"max_segments": 2, "max_episode_steps": 2},  # terminated and truncated at once
    ],
)
def test_it_equals_the_librarys_batch_of_single_environments(options):
    ours = native(**options)
    theirs = DummyVecEnv([lambda: gym.make("hrm_gym:Sudoku4x4-v0", **options) for _ in range(N)])
    theirs.seed(3)
    equal(ours.reset(), dict(obs) if isinstance(obs := theirs.reset(), dict) else obs)
    equal(ours.reset_infos, theirs.reset_infos)
    rng, timeouts, ends = np.random.default_rng(0), 0, 0
    for _ in range(30):
        chosen = actions(ours.envs, rng, solutions(ours.envs))
        (obs, *mine), (their_obs, *others) = ours.step(chosen), theirs.step(chosen)
        equal(obs, dict(their_obs) if isinstance(their_obs, dict) else their_obs)
        equal(mine[:2], others[:2])
        for over, info, other in zip(mine[1], mine[2], others[2], strict=True):
            equal(info, other if over else {})
            ends += over
            timeouts += over and info["TimeLimit.truncated"]
    assert ends > N and bool(timeouts) == (options.get("max_episode_steps", 9) < options["max_segments"])


@pytest.mark.parametrize("env", ["Sudoku4x4-v0", "Sudoku6x6-Halt-v0"])
def test_seeds_are_used_once_and_no_seed_differs(env):
    options = {"num_examples": 8, "max_segments": 2} if "Halt" in env else {}
    one, two = (make_vec_env(env, N, seed=5, **options) for _ in range(2))
    equal(one.reset(), two.reset())
    equal(one.reset(), two.reset())
    two.seed(5)
    fresh = make_vec_env(env, N, seed=5, **options)
    equal(two.reset(), fresh.reset())
    if "Halt" not in env:
        others = [make_vec_env(env, 32).reset()["puzzle"] for _ in range(2)]
        assert (others[0] != others[1]).any()


def test_options_of_the_next_reset():
    venv = native(split="test")
    venv.set_options([{"index": index} for index in range(N)])
    assert (venv.reset()["puzzle"] == venv.envs.task.dataset("test").puzzle[:N]).all()
    venv.set_options({"puzzle": ".2....1...4..3.."})
    assert (venv.reset()["puzzle"] == venv.reset_infos[0]["solution"] * (venv.envs.state_dict()["puzzle"] > 0)).all()
    assert len({row.tobytes() for row in venv.reset()["puzzle"]}) > 1  # options are used once
    board = venv.envs.task.dataset("test").puzzle[3]
    venv.set_options([{"puzzle": board.copy()} for _ in range(N)])
    assert (venv.reset()["puzzle"] == board).all()
    arrays = [{"puzzle": board}] * (N - 1) + [{"puzzle": board[::-1].copy()}]
    for different in (arrays, [{"index": 0}] + [{}] * (N - 1), [{"puzzle": "x"}] + [{}] * (N - 1), [{"index": 0}]):
        venv.set_options(different)
        with pytest.raises(HrmGymError, match="only 'index' may differ"):
            venv.reset()


def test_attributes_and_methods():
    venv = native(render_mode="rgb_array", max_episode_steps=9)
    venv.reset()
    masks = venv.env_method("action_masks")
    assert venv.has_attr("action_masks") and not venv.has_attr("no_such_attribute")
    assert np.array_equal(masks, venv.envs.action_masks()) and len(masks) == N
    assert len(venv.env_method("render", indices=[4, 0])) == 2
    assert venv.get_attr("action_space", 1) == [gym.make("Sudoku4x4-v0").action_space]
    assert venv.get_attr("spec")[0].id == venv.spec.id == "hrm_gym:Sudoku4x4-v0".partition(":")[2]
    venv.set_attr("max_episode_steps", 2)
    assert venv.get_attr("max_episode_steps", range(2)) == [2, 2]
    step = np.zeros((N, 17), np.int64)
    assert not venv.step(step)[2].any() and venv.step(step)[2].all()
    assert venv.env_is_wrapped(Monitor) == [False] * N
    with pytest.raises(HrmGymError, match=r"share their attributes.*indices"):
        venv.set_attr("max_episode_steps", 3, indices=[0])
    with pytest.raises(HrmGymError, match="known are action_masks, render"):
        venv.env_method("reset")
    with pytest.raises(AttributeError):
        venv.env_method("no_such_method")


def test_pictures():
    venv = native(num=4, render_mode="rgb_array")
    venv.reset()
    one = venv.get_images()[0]
    assert venv.render().shape == (2 * one.shape[0], 2 * one.shape[1], 3)
    assert native().get_images() == [None] * N


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cpu"}, "device='cpu': Stable-Baselines3"),
        ({"autoreset_mode": "NextStep"}, "autoreset_mode='NextStep'"),
        ({"n_envs": 0}, "num_envs=0"),
        ({"seed": -1}, "seed=-1"),
        ({"env": "Sudoku4x4"}, "unknown environment"),
        ({"spilt": "test"}, "did you mean 'split'"),
    ],
)
def test_bad_arguments_are_one_line(options, message):
    with pytest.raises(HrmGymError, match=message):
        make_vec_env(**{"env": "Sudoku4x4-v0", **options})


def test_a_missing_library_is_named_in_one_line():
    code = (
        "import sys; sys.modules['stable_baselines3'] = None\nimport hrm_gym\n"
        "try:\n    hrm_gym.sb3.make_vec_env\nexcept hrm_gym.HrmGymError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ("hrm_gym.sb3 needs the package 'stable_baselines3': pip install \"hrm-gym[sb3]\"\n")


# ---- under the library's own wrappers ----------------------------------------------------------------------------


def test_monitor_counts_episodes_and_writes_its_file(tmp_path):
    venv = VecMonitor(native(num=4, max_segments=3), str(tmp_path / "log"), info_keywords=("is_success",))
    venv.reset()
    answer = np.append(solutions(venv.unwrapped.envs), np.zeros((4, 1)), axis=1).astype(np.int64)
    for _ in range(3):
        *_, infos = venv.step(answer)
    assert [info["episode"]["l"] for info in infos] == [3] * 4 and all(info["episode"]["r"] == 1 for info in infos)
    venv.close()
    assert len((tmp_path / "log.monitor.csv").read_text().splitlines()) == 2 + 4


def test_normalized_saved_and_loaded(tmp_path):
    flat = {"obs_type": "flat", "action_type": "edit", "max_segments": 8}
    venv = VecNormalize(make_vec_env("Sudoku4x4-v0", N, seed=0, **flat))
    model = PPO("MlpPolicy", venv, **SMALL).learn(48)
    venv.save(str(tmp_path / "scales"))
    model.save(tmp_path / "model")
    again = VecNormalize.load(str(tmp_path / "scales"), make_vec_env("Sudoku4x4-v0", N, seed=0, **flat))
    loaded = PPO.load(tmp_path / "model", env=again, device="cpu")
    obs = again.reset()
    assert np.array_equal(*(which.predict(obs, deterministic=True)[0] for which in (model, loaded)))
    loaded.learn(24)
    # Tokens are no measures: of dictionaries only the rewards are scaled.
    rewards = VecNormalize(make_vec_env("Sudoku4x4-v0", N, seed=0), norm_obs=False)
    PPO("MultiInputPolicy", rewards, **SMALL).learn(24)


def test_evaluation_while_learning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as of evaluation environments without a monitor
        venv = make_vec_env("Sudoku4x4-v0", N, seed=0, max_episode_steps=3)  # time limits are bootstrapped
        watched = EvalCallback(
            make_vec_env("Sudoku4x4-v0", 3, seed=1, split="validation"),
            n_eval_episodes=6,
            eval_freq=4,
            log_path=str(tmp_path),
            best_model_save_path=str(tmp_path),
            verbose=0,
        )
        PPO("MultiInputPolicy", venv, **SMALL).learn(48, callback=watched)
    saved = np.load(tmp_path / "evaluations.npz")
    assert saved["results"].shape == (2, 6) and saved["successes"].shape == (2, 6)
    assert (tmp_path / "best_model.zip").exists()


@pytest.mark.slow
def test_a_thousand_environments_learn_when_to_halt():
    venv = make_vec_env("Sudoku6x6-Halt-v0", 1_024, seed=0, num_examples=50, max_segments=4, segment_cost=0.05)
    model = PPO("MlpPolicy", venv, n_steps=8, batch_size=1_024, learning_rate=3e-3, gamma=1.0, seed=0, device="cpu")
    before, _ = evaluate_policy(model, venv, 1_024)
    model.learn(5 * 8_192)
    after, _ = evaluate_policy(model, venv, 1_024)
    assert after > before + 0.1
    venv = make_vec_env("Sudoku4x4-v0", 1_024)
    PPO("MultiInputPolicy", venv, **{**SMALL, "n_steps": 1, "batch_size": 1_024}).learn(2_048)


@pytest.mark.slow
def test_off_policy():
    venv = make_vec_env("Sudoku4x4-v0", N, seed=0, action_type="edit", max_segments=4, max_episode_steps=3)
    DQN("MultiInputPolicy", venv, learning_starts=12, batch_size=8, buffer_size=64, device="cpu").learn(60)


def test_video(tmp_path):
    pytest.importorskip("moviepy")
    venv = VecVideoRecorder(native(num=2, render_mode="rgb_array"), str(tmp_path), lambda step: step == 0, 3)
    assert venv.unwrapped.metadata["render_fps"] == venv.unwrapped.envs.metadata["render_fps"]
    venv.reset()
    for _ in range(4):
        venv.step(np.zeros((2, 17), np.int64))
    venv.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_masks_for_sb3_contrib():
    contrib = pytest.importorskip("sb3_contrib")
    venv = make_vec_env("Sudoku4x4-v0", N, seed=0, action_type="edit", max_segments=8)
    model = contrib.MaskablePPO("MultiInputPolicy", venv, **SMALL).learn(48)
    masks = np.stack(venv.env_method("action_masks"))
    chosen, _ = model.predict(venv.reset(), action_masks=masks)
    assert masks[np.arange(N), chosen].all()


def test_the_class_takes_any_batch():
    assert isinstance(native(), NativeVecEnv)
    assert isinstance(make_vec_env("Sudoku4x4-v0"), VecMonitor)
