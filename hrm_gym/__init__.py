"""Reasoning as reinforcement learning: puzzles as Gymnasium environments, and agents that decide when to halt.

    import hrm_gym

    envs = hrm_gym.make_vec("Sudoku6x6-v0", num_envs=64)
    run = hrm_gym.train(env="Sudoku4x4-v0", max_minutes=1)
    policy = hrm_gym.load_agent("Sudoku4x4-v0", run.folder)
    print(hrm_gym.evaluate("Sudoku4x4-v0", run.folder, limit=100)["exact_accuracy"])
    print(hrm_gym.solve("Sudoku4x4-v0", "1...2..4..3..1..", run.folder).text)

`import hrm_gym` registers the environments; `gymnasium.make("hrm_gym:SudokuExtreme-v0")` imports it for you. Modules
that need torch are loaded on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium import Env
from gymnasium.vector import VectorEnv

from hrm_gym.envs import registration
from hrm_gym.envs.registration import halting_id, make_task, task_ids
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.linked import on_first_use
from hrm_gym.version import __version__

__all__ = [
    "HrmGymError",
    "__version__",
    "analyze",
    "download",
    "evaluate",
    "export_onnx",
    "load_agent",
    "make",
    "make_task",
    "make_vec",
    "register_agent",
    "register_halting",
    "register_task",
    "solve",
    "task_ids",
    "train",
    "upload",
]

if TYPE_CHECKING:
    from hrm_gym.agents.inference.publishing import download, upload
    from hrm_gym.agents.registry import register_agent, register_halting
    from hrm_gym.agents.saved.load import load_agent
    from hrm_gym.agents.saved.onnx_export import export_onnx
    from hrm_gym.api import analyze, evaluate, solve, train
else:  # loaded on first use, because they import torch; type checkers would take any name for known
    _MODULES = {
        "register_agent": "agents.registry",
        "register_halting": "agents.registry",
        "load_agent": "agents.saved.load",
        "upload": "agents.inference.publishing",
        "download": "agents.inference.publishing",
        "export_onnx": "agents.saved.onnx_export",
        **dict.fromkeys(("analyze", "evaluate", "solve", "train"), "api"),
    }

    _load = on_first_use("hrm_gym", _MODULES)

    def __getattr__(name: str) -> Any:
        # `sb3` is a module, which type checkers know when it is imported by name.
        return importlib.import_module("hrm_gym.sb3") if name == "sb3" else _load(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "sb3"})


def make(env: str, **options: Any) -> Env[Any, Any]:
    """Make an environment: `gymnasium.make("hrm_gym:ID", ...)`. See `hrm_gym.envs.puzzle_env.PuzzleEnv`."""
    _check_mode(options.get("render_mode"))
    return gymnasium.make(_full(env), **options)


def make_vec(env: str, num_envs: int = 1, **options: Any) -> VectorEnv[Any, Any, Any]:
    """Make a native vector environment. See `hrm_gym.envs.vector_env.PuzzleVectorEnv`."""
    _check_mode(options.get("render_mode"))
    return gymnasium.make_vec(_full(env), num_envs=num_envs, **options)


def _check_mode(mode: Any) -> None:
    if not isinstance(mode, str | None):  # Gymnasium compares it before the environment sees it
        raise HrmGymError(f"render_mode is a {type(mode).__name__}: give a text, or None")


def _full(env: str) -> str:
    if not isinstance(env, str):
        raise HrmGymError(f"env={env!r}: give the id of an environment, such as 'Sudoku4x4-v0'")
    name = env.removeprefix("hrm_gym:")
    if ":" not in name and name not in gymnasium.registry:
        raise unknown("environment", env, [each for task in task_ids() for each in (task, halting_id(task))])
    return env if ":" in env or env in gymnasium.registry else f"hrm_gym:{env}"


def register_task(env_id: str, entry: str, **kwargs: Any) -> None:
    """Call `hrm_gym.envs.registration.register_task` and also register the puzzle's halting environment."""
    registration.register_task(env_id, entry, **kwargs)
    _register_halting(env_id)


def _register_halting(env_id: str) -> None:
    for name in (env_id, f"{registration.NAMESPACE}/{env_id}"):
        if halting_id(name) not in gymnasium.registry:
            gymnasium.register(
                id=halting_id(name),
                entry_point="hrm_gym.agents.inference.halting_ids:make_halting_env",
                vector_entry_point="hrm_gym.agents.inference.halting_ids:make_halting_vec",
                kwargs={"env_id": env_id},
            )


registration.register_envs()
for _env_id in task_ids():
    _register_halting(_env_id)
