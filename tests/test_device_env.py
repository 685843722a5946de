"""The batched environment in torch: equal to NumPy, repeatable, and never waiting for the device."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from batches import ACTION_TYPES, OBS_TYPES, N, actions, equal, solutions
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

import hrm_gym
from hrm_gym.envs.rules import Rules

SAME_STEP, DISABLED = AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
every_mode = pytest.mark.parametrize("mode", tuple(AutoresetMode), ids=lambda mode: mode.value)
every_id = pytest.mark.parametrize("env_id", hrm_gym.task_ids())


class Table:
    """Uniform numbers that do not depend on the library, in the place of an environment's own."""

    def __init__(self, inner, on_host=True):
        self.device, self.put, self.on_host = inner.device, inner.put, on_host
        self.generators = [np.random.default_rng(i) for i in range(N)]

    def seed(self, seed, mask):
        pass

    def state_dict(self):
        return None

    def draw(self, mask, num):
        uniforms = np.full((N, num), 0.5)
        slots = np.flatnonzero(np.asarray(mask))
        for i in slots:
            uniforms[i] = self.generators[i].random(num)
        if self.on_host:
            return self.put(slots), self.put(uniforms[slots])
        return None, self.put(uniforms)


@every_mode
@every_id
@pytest.mark.parametrize("action_type", ACTION_TYPES)
@pytest.mark.parametrize("on_host", [True, False], ids=["as on the CPU", "as on a GPU"])
def test_torch_equals_numpy(env_id, mode, action_type, on_host):
    kinds = {"action_type": action_type, "max_segments": 4, "segment_cost": 0.125}
    kinds["graded_by"] = "solution" if on_host else "rules"
    obs_type = "flat" if on_host else "dict"
    numpy, tensor = (
        gym.make_vec(env_id, N, autoreset_mode=mode, obs_type=obs_type, device=device, **kinds)
        for device in (None, "cpu")
    )
    numpy._uniforms, tensor._uniforms = Table(numpy._uniforms), Table(tensor._uniforms, on_host)
    (obs, infos), (tensor_obs, tensor_infos) = numpy.reset(), tensor.reset()
    equal(obs, tensor_obs)
    rng = np.random.default_rng(0)
    for _ in range(25):
        action = actions(numpy, rng, solutions(numpy))
        *results, infos = numpy.step(action)
        *tensor_results, tensor_infos = tensor.step(torch.as_tensor(action))
        equal(tuple(results), tuple(tensor_results))
        over = results[2] | results[3]
        for key in ("is_success", "cell_accuracy", "violations", "solution"):
            equal(infos[key], tensor_infos[key], key)
            if mode == SAME_STEP and over.any():
                final = tensor_infos["final_info"][key]
                equal(infos["final_info"][key][over], final[over], f"final {key}")
        if mode == SAME_STEP:
            assert (tensor_infos["_final_obs"].numpy() == over).all()
            for slot in np.flatnonzero(over):
                final = tensor_infos["final_obs"]
                final = {k: v[slot] for k, v in final.items()} if obs_type == "dict" else final[slot]
                equal(infos["final_obs"][slot], final)
        if mode == DISABLED and over.any():
            numpy.reset(options={"reset_mask": over})
            tensor.reset(options={"reset_mask": torch.as_tensor(over)})


@every_mode
@pytest.mark.parametrize("obs_type", OBS_TYPES)
@pytest.mark.parametrize("env_id", ["Latin3x3-v0", "Sudoku6x6-v0"])
def test_a_step_on_a_device_reads_nothing_back(env_id, obs_type, mode):
    """Tensors of torch's "meta" device have no numbers: whoever asks for one gets an exception."""
    envs = gym.make_vec(env_id, N, device="cpu", autoreset_mode=mode, obs_type=obs_type)
    envs.reset(seed=0)

    class Meta:
        device, on_host = torch.device("meta"), False

        def put(self, array, what=""):
            return torch.as_tensor(array, device="meta")

        def draw(self, mask, num):
            return None, torch.rand((N, num), dtype=torch.float64, device="meta")

    envs._uniforms = Meta()
    envs._data, envs._state = (
        envs._data.map(Meta().put),
        type(envs._state)(*map(Meta().put, envs._state)),
    )
    envs._all, envs._over, envs.device = Meta().put(envs._all), Meta().put(envs._over), Meta.device
    action = Meta().put(envs.action_space.sample())
    with pytest.raises(RuntimeError):
        bool(action.any())
    for _ in range(2):
        _, reward, *_ = envs.step(action)
        assert reward.device.type == "meta" and reward.shape == (N,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_mode
def test_a_step_on_cuda_does_not_synchronise(mode):
    envs = gym.make_vec("Sudoku9x9-v0", N, device="cuda", autoreset_mode=mode)
    envs.reset(seed=0)
    action = torch.as_tensor(envs.action_space.sample(), device="cuda")
    envs.step(action)
    torch.cuda.set_sync_debug_mode("error")
    try:
        envs.step(action)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_seed_makes_a_device_batch_repeatable():
    one, two = (gym.make_vec("Sudoku6x6-v0", N, device="cpu") for _ in range(2))
    assert not torch.equal(one.reset()[0]["puzzle"], two.reset()[0]["puzzle"])
    rng = np.random.default_rng(0)
    equal(one.reset(seed=3), two.reset(seed=3))
    for _ in range(10):
        action = torch.as_tensor(actions(one, rng, solutions(one)))
        equal(one.step(action), two.step(action))


@settings(max_examples=50, deadline=None)
@given(data=st.data(), num=st.integers(1, 5))
def test_rules_agree_between_numpy_and_torch(data, num):
    rules = Rules("Sudoku4x4-v0", action_type="edit")
    numbers = st.lists(st.floats(0, 1, exclude_max=True), min_size=num, max_size=num)
    uniforms = np.array(data.draw(numbers))[:, None]
    edits = np.array(data.draw(st.lists(st.integers(0, 80), min_size=num, max_size=num)))
    results = []
    for put in (np.asarray, torch.as_tensor):
        state = rules.start(rules.data.map(put), put(uniforms))
        state, halt = rules.act(state, rules.check(put(edits), num))
        grade = rules.grade(state)
        results.append((*state, halt, *grade, *rules.outcome(state, halt, grade.right), rules.action_masks(state)))
    for one, other in zip(*results, strict=True):
        equal(one, other)
