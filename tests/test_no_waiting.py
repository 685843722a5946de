"""On a GPU a training step is only queued: nothing in it may make the host wait for a value, or send it one."""

import dataclasses

import pytest
import torch
from loop import Loop, tiny
from test_arc import EVALUATION, TRAINING, write
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hrm_gym.agents.state import items
from hrm_gym.agents.training.loop import Record
from hrm_gym.agents.training.monitor import Monitor

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


SMALL = {"num_envs": 8, "max_segments": 3, "warmup_steps": 2, "max_steps": 10}
MAZE = SMALL | {"env": "MazeSmall-v0", "mixer": "convolution", "num_envs": 4}
GROUPS = SMALL | {"agent": "trm_symbols", "message_size": 8, "mlp_size": 16, "halting": "classifier"}
CASES = {
    "sudoku": SMALL,
    "next segment": SMALL | {"halt_target": "next_segment", "mixer": "attention", "positions": "rope"},
    "monte carlo": SMALL | {"halt_target": "monte_carlo", "loss": "softmax", "optimizer": "adam_atan2"},
    "target network": SMALL | {"target_network": True},
    "horizon": SMALL | {"horizon": "look_ahead"},
    "confidence": SMALL | {"halting": "confidence", "initial_noise": 0.1, "clip": 1.0},
    "fixed": SMALL | {"halting": "fixed", "segments": 2, "segment_cost": 0.1, "graded_by": "solution"},
    "maze": MAZE | {"agent": "trm", "halting": "classifier"},
    "arc": MAZE | {"env": "ARC1-v0", "task_args": "augmentations=3"},
    # With a list as long as there are candidates, their number would decide the shapes of what is computed.
    "candidates": GROUPS | {"nodes_per_board": 64},
    "candidates in two modules": GROUPS | {"agent": "hrm_symbols", "nodes_per_board": 64, "halting": "q_learning"},
    "own": SMALL | {"agent": "own_gru", "halting": "own_patience"},
}


@pytest.fixture(params=CASES)
def config(request, tmp_path):
    if request.param != "arc":
        return tiny(**CASES[request.param])
    write(tmp_path / "training.json", TRAINING)
    write(tmp_path / "evaluation.json", EVALUATION)
    return tiny(**CASES["arc"], dataset=str(tmp_path))


def test_a_training_step_reads_nothing_back(config):
    loop = Loop(config)
    # The CPU's environments draw for finished slots alone; a GPU's do not know which they are.
    loop.trainer.envs._envs.unwrapped._uniforms.on_host = False
    with NoReading(), NoMethods():
        for _ in range(4):  # longer than an episode
            loop.step()


def test_a_training_step_sends_nothing(config, monkeypatch):
    """Torch's "meta" device stands for the GPU: all but the fused AdamW and random generators can live there."""

    class OnHost(torch.Generator):
        def __new__(cls, device=None):
            return super().__new__(cls)

    monkeypatch.setattr(torch, "Generator", OnHost)
    loop = Loop(dataclasses.replace(config, device="meta", optimizer="adam_atan2"))
    loop.step()  # constant tables are sent once
    with NoReading(), NoMethods(), NoMixing():
        figures = loop.step()
    assert all(z.is_meta for _, z in items(loop.state)) and figures["answer_loss"].is_meta


def test_what_is_shown_of_a_step_stays_on_the_device(tmp_path):
    loop = Loop(tiny(**SMALL))
    loop.trainer.envs._envs.unwrapped._uniforms.on_host = False
    monitor = Monitor(loop.trainer, tmp_path)
    losses = loop.step()
    with NoReading(), NoMethods():
        monitor.update(Record(loop.experience, losses, loop.cells))
    assert monitor._figures


def test_training_does_not_count_violations():
    # On a GPU a maze's are thousands of operators a step.
    envs = Loop(tiny(**MAZE)).trainer.envs._envs
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
