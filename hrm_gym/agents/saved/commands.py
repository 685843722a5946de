"""Commands to show to the user, in runs and cards."""

from __future__ import annotations

from hrm_gym.agents.registry import agent_class, halting_class
from hrm_gym.agents.saved.config import Config
from hrm_gym.envs.registration import task_class
from hrm_gym.errors import HrmGymError


def names(config: Config) -> dict[str, str]:
    """`env`, `agent` and `halting` of a run as command-line values: "module:NAME" for user-defined ones.

    A checkpoint imports nothing, so a command must name the module of a user-defined name. If it is unknown here, the
    bare name is used.
    """
    found = {}
    for option, name, kind in (
        ("env", config.env, task_class),
        ("agent", config.agent, agent_class),
        ("halting", config.halting, halting_class),
    ):
        try:
            module = kind(name).__module__
        except HrmGymError:
            module = "__main__"
        inside = module == "__main__" or module.startswith("hrm_gym.")
        found[option] = name if inside else f"{module}:{name}"
    return found


def again(config: Config, command: str) -> str:
    """An `hrm-gym` command that reads a run, with the user-defined names that it needs."""
    bare = {"env": config.env, "agent": config.agent, "halting": config.halting}
    outside = [f"--{option} {name}" for option, name in names(config).items() if name != bare[option]]
    return " ".join(("hrm-gym", command, *outside))
