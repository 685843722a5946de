"""On a GPU a training step is only queued: nothing in it may make the host wait for a value, or send it one."""

import dataclasses

import pytest
import torch
from test_arc import EVALUATION, TRAINING, write
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hrm_gym.agents.training.config import Config
from hrm_gym.agents.training.trainer import Trainer

# Operators whose result, or whose result's shape, the host must know.
READING = (
    *(
        "_local_scalar_dense",
        "is_nonzero",
        "equal",
        "nonzero",
        "nonzero_static",
        "argwhere",
        "masked_select",
        "bincount",
    ),
    *(
        "_unique",
        "_unique2",
        "unique_dim",
        "unique_consecutive",
        "repeat_interleave",
        "_coalesce",
        "_to_dense",
        "allclose",
    ),
)
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")
# Methods that read a CPU's memory without an operator.
METHODS = ("tolist", "numpy", "cpu", "item", "__array__", "__bool__", "__int__", "__float__", "__index__")


class NoReading(TorchDispatchMode):
    """Refuses operators that would make the host wait if the tensors were on a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in READING, f"{func} makes the host wait"
        if name in INDEXING:
            masks = [i for i in args[1] if i is not None and i.dtype in (torch.bool, torch.uint8)]
            assert not masks, f"{func} with a mask has a result of unknown shape"
        return func(*args, **(kwargs or {}))


class NoMethods(TorchFunctionMode):
    """Refuses methods that take numbers out of tensors."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert getattr(func, "__name__", "") not in METHODS, f"{func} makes the host wait"
        return func(*args, **(kwargs or {}))


class NoMixing(TorchDispatchMode):
    """Refuses operators between devices: such a copy waits for the device, whichever way it goes."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        devices = {x.device for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)}
        assert len(devices) < 2, f"{func} joins {devices}"
        return result


TINY = Config(
    **{"env": "Sudoku4x4-v0", "agent": "hrm", "device": "cpu", "dtype": "float32", "max_steps": 10},
    **{"hidden_size": 16, "h_layers": 1, "l_layers": 1, "num_envs": 8, "max_segments": 3, "warmup_steps": 2},
)
MAZE = dataclasses.replace(TINY, env="MazeSmall-v0", mixer="convolution", num_envs=4)
ARC = dataclasses.replace(MAZE, env="ARC1-v0", task_args="augmentations=3")
CASES = {
    "sudoku": TINY,
    "next segment": dataclasses.replace(TINY, halt_target="next_segment", mixer="attention", positions="rope"),
    "monte carlo": dataclasses.replace(TINY, halt_target="monte_carlo", loss="softmax", optimizer="adam_atan2"),
    "target network": dataclasses.replace(TINY, target_network=True),
    "maze": dataclasses.replace(MAZE, agent="trm", halting="halt_only", gradient="last_cycle"),
    "arc": ARC,
}


@pytest.fixture(params=CASES)
def config(request, tmp_path):
    if request.param != "arc":
        return CASES[request.param]
    write(tmp_path / "training.json", TRAINING)
    write(tmp_path / "evaluation.json", EVALUATION)
    return dataclasses.replace(ARC, dataset=str(tmp_path))


def test_a_training_step_reads_nothing_back(config):
    trainer = Trainer(config)
    # The CPU's environments draw for finished slots alone; a GPU's do not know which they are.
    trainer.envs.unwrapped._uniforms.on_host = False
    with NoReading(), NoMethods():
        for _ in range(4):  # longer than an episode
            trainer.train_segment()


def test_a_training_step_sends_nothing(config, monkeypatch):
    """Torch's "meta" device stands for the GPU: all but the fused AdamW and random generators can live there."""

    class OnHost(torch.Generator):
        def __new__(cls, device=None):
            return super().__new__(cls)

    monkeypatch.setattr(torch, "Generator", OnHost)
    trainer = Trainer(dataclasses.replace(config, device="meta", optimizer="adam_atan2"))
    trainer.train_segment()  # constant tables are sent once
    with NoReading(), NoMethods(), NoMixing():
        figures = trainer.train_segment()
    assert trainer.carry.z_h.is_meta and figures["answer_loss"].is_meta


def test_training_does_not_count_violations():
    # On a GPU a maze's are thousands of operators a step.
    envs = Trainer(MAZE).envs
    *_, infos = envs.step(torch.as_tensor(envs.action_space.sample()))
    assert {"is_success", "cell_accuracy", "solution"} < infos.keys() and "violations" not in infos


@pytest.mark.parametrize(
    "read",
    [torch.any, torch.nonzero, lambda x: x[x > 0], torch.Tensor.tolist, torch.Tensor.item, torch.unique, float],
)
def test_the_modes_notice(read):
    x = torch.ones(1)
    with pytest.raises(AssertionError), NoReading(), NoMethods():
        bool(read(x))
