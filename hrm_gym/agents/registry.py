"""Agents and halting rules by name, and how to register your own."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
import re
from typing import TYPE_CHECKING, Any

from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.options import from_dict, to_dict
from hrm_gym.outside import import_module, load_class, shown, where

if TYPE_CHECKING:
    from hrm_gym.agents.agent import Agent
    from hrm_gym.agents.halting.rule import HaltingRule

_MODELS = "hrm_gym.agents.models"
_LINEAGE = "hrm_gym.agents.lineage"
_agents: dict[str, str] = {
    "hrm": f"{_MODELS}.hrm:HRM",
    "trm": f"{_MODELS}.trm:TRM",
    "hrm_symbols": f"{_MODELS}.symbols:SymbolHRM",
    "trm_symbols": f"{_MODELS}.symbols:SymbolTRM",
    "hrm_grid": f"{_MODELS}.grid:GridHRM",
    "trm_grid": f"{_MODELS}.grid:GridTRM",
    "hrm_planes": f"{_MODELS}.planes:PlanesHRM",
    "trm_planes": f"{_MODELS}.planes:PlanesTRM",
    "direct": f"{_MODELS}.direct:Direct",
    "gru": f"{_LINEAGE}.gru:GRU",
    "ponder": f"{_LINEAGE}.ponder:Ponder",
    "ut": f"{_LINEAGE}.ut:UT",
    "looped": f"{_LINEAGE}.looped:Looped",
    "neural_gpu": f"{_LINEAGE}.neural_gpu:NeuralGPU",
    "rrn": f"{_LINEAGE}.rrn:RRN",
    "ntm": f"{_LINEAGE}.ntm:NTM",
    "dnc": f"{_LINEAGE}.dnc:DNC",
    "latent_tokens": f"{_LINEAGE}.latent_tokens:LatentTokens",
    "trans_nar": f"{_LINEAGE}.trans_nar:TransNAR",
    "spaun": f"{_LINEAGE}.spaun:Spaun",
    "tem": f"{_LINEAGE}.tem:TEM",
    "search_trace": f"{_LINEAGE}.search_trace:SearchTrace",
}
_RULES = "hrm_gym.agents.halting"
_rules: dict[str, str] = {
    "q_learning": f"{_RULES}.q_learning:QLearning",
    "classifier": f"{_RULES}.classifier:Classifier",
    "soundness": f"{_RULES}.soundness:Soundness",
    "confidence": f"{_RULES}.confidence:Confidence",
    "fixed": f"{_RULES}.fixed:Fixed",
    "end_token": f"{_RULES}.end_token:EndToken",
    "act": f"{_RULES}.act:ACT",
    "pondernet": f"{_RULES}.pondernet:PonderNet",
}


def register_agent(name: str, entry: str) -> None:
    """Register an agent, so that `--agent NAME` finds it.

    Args:
        name: letters, digits, underscores and hyphens, such as "my_net".
        entry: the import path of a subclass of `hrm_gym.agents.Agent`, such as "my_module:MyNet". It is imported when
            an agent is built.

    Raises:
        HrmGymError: on a malformed name or entry, or a name already taken by another agent. Registering the same pair
            twice is fine.
    """
    _register(_agents, "agent", name, entry)


def register_halting(name: str, entry: str) -> None:
    """Register a halting rule for `--halting NAME`; arguments and errors are those of `register_agent`."""
    _register(_rules, "halting rule", name, entry)


def agent_names() -> tuple[str, ...]:
    """All registered agents."""
    return tuple(_agents)


def halting_names() -> tuple[str, ...]:
    """All registered halting rules."""
    return tuple(_rules)


def agent_class(name: str) -> type[Agent]:
    """The class behind a name.

    Raises:
        HrmGymError: on an unknown name, or an entry that is not an agent.
    """
    return _class(_agents, "agent", name, "hrm_gym.agents.agent:Agent")


def halting_class(name: str) -> type[HaltingRule]:
    """The class behind a name.

    Raises:
        HrmGymError: on an unknown name, or an entry that is not a halting rule.
    """
    return _class(_rules, "halting rule", name, "hrm_gym.agents.halting.rule:HaltingRule")


def import_named(name: str) -> str:
    """Import the module of "module:NAME", so that it registers the name, and return the bare name.

    Modules in the current folder are found. A name without a module is returned unchanged.

    Raises:
        HrmGymError: if there is no such module, or its import fails.
    """
    module, colon, bare = name.rpartition(":")
    if not colon:
        return name
    import_module(module, name)
    return bare


def _register(table: dict[str, str], kind: str, name: str, entry: str) -> None:
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise HrmGymError(f"malformed name {name!r} for a {kind}: use letters, digits, underscores and hyphens")
    if not (isinstance(entry, str) and re.fullmatch(r"[\w.]+:\w+", entry)):
        raise HrmGymError(f"malformed entry {entry!r}: write 'module:Class', such as 'my_module:MyNet'")
    if table.setdefault(name, entry) != entry:
        raise HrmGymError(f"{kind} {name!r} is already {table[name]}: choose another name")


def _class(table: dict[str, str], kind: str, name: str, base: str) -> Any:
    if name not in table:
        raise unknown(kind, name, table)
    module, _, base_name = base.partition(":")  # imported late: classes need torch, names do not
    cls = load_class(table[name], kind, getattr(importlib.import_module(module), base_name))
    _check_config(cls)
    return cls


@functools.cache
def _check_config(cls: Any) -> None:
    """Refuse a class whose `Config` cannot be shown on a command line or written to a checkpoint."""
    config: Any = getattr(cls, "Config", None)
    # A subclass of a dataclass without its own decorator does not list its new fields.
    if not (inspect.isclass(config) and "__dataclass_fields__" in vars(config)):
        raise HrmGymError(
            f"{where(config if inspect.isclass(config) else cls)}: the Config of {cls.__name__} must be a dataclass: "
            "write @dataclasses.dataclass above it"
        )
    for field in dataclasses.fields(config):  # type: ignore[arg-type]  # isclass made it any class
        if field.default is field.default_factory is dataclasses.MISSING:
            raise HrmGymError(f"{where(config)}: {config.__name__}.{field.name} has no default: give it one")
    try:
        usual = to_dict(config())
        again = to_dict(from_dict(config, json.loads(json.dumps(usual))))
    except Exception as error:
        raise HrmGymError(shown(error) or f"{where(config)}: {error}") from error
    if again != usual:
        raise HrmGymError(f"{where(config)}: {config.__name__} does not come back from a checkpoint as it was written")
