"""Pages made from code: environments, agents, halting rules and commands. `hooks` adds them to the site."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import io
import itertools
import re
import textwrap
from pathlib import Path
from typing import Any, get_args, get_type_hints

import docstring_parser
import gymnasium as gym
import numpy as np
from PIL import Image

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.registry import agent_class, agent_names, halting_class, halting_names
from hrm_gym.agents.saved.config import RunOptions
from hrm_gym.agents.saved.sources import PRETRAINED
from hrm_gym.cli import COMMANDS
from hrm_gym.cli.parse import options_of
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import BoardRenderer
from hrm_gym.envs.options import EnvOptions
from hrm_gym.envs.registration import halting_id, make_task, task_ids
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

DOCS = Path(__file__).resolve().parents[1]
OURS = "hrm_gym."


def shipped_envs() -> list[str]:
    """Ids of the package's own puzzles."""
    return [env_id for env_id in task_ids() if type(make_task(env_id)).__module__.startswith(OURS)]


def shipped_agents() -> list[str]:
    """Names of the package's own agents."""
    return [name for name in agent_names() if agent_class(name).__module__.startswith(OURS)]


def shipped_rules() -> list[str]:
    """Names of the package's own halting rules."""
    return [name for name in halting_names() if halting_class(name).__module__.startswith(OURS)]


# ---- environments ------------------------------------------------------------------------------------------------


def environment_page(env_id: str) -> tuple[str, bytes | None]:
    """The page of an environment under Gymnasium's headings, and its picture if its puzzles are there."""
    task = make_task(env_id)
    spec = TaskSpec.of(task)
    family = docstring_parser.parse_from_object(type(task))
    doc = inspect.cleandoc(type(task).__doc__ or "").split("\n\nArgs:")[0]
    try:
        picture, shown = puzzle_picture(task), f"![A puzzle and its solution]({env_id}.png)"
    except HrmGymError as error:  # data that this family does not ship
        picture, shown = None, f"No picture here: {error}."
    cells, tokens = spec.num_cells, spec.num_tokens
    right = "it satisfies the rules of the puzzle" if task.verifiable else "it equals the solution"
    sizes = f"{type(task).__module__}.{type(task).__name__}"
    return (
        f"""# {env_id}

{shown}

```python
import gymnasium as gym

env = gym.make("hrm_gym:{env_id}", split="train")
obs, info = env.reset(seed=0)
```

## Description

{doc}

Difficulty: {rating(type(task))}. Class: [`{sizes}`](#family).

## Action Space

`MultiDiscrete([{tokens}] * {cells} + [2])`: a token for each cell of the {spec.rows}x{spec.columns} board, row by row, then 0 to continue
or 1 to halt. With `action_type="edit"`, `Discrete({cells * tokens + 1})`: `cell * {tokens} + token` writes one cell,
`{cells * tokens}` halts.

## Observation Space

| key | space | meaning |
| --- | --- | --- |
| `puzzle` | `MultiDiscrete([{tokens}] * {cells})` | the tokens of the puzzle |
| `answer` | `MultiDiscrete([{tokens}] * {cells})` | the last answer |
| `segment` | `Discrete(max_segments + 1)` | the number of steps taken |
{f"| `puzzle_id` | `Discrete({spec.num_identities})` | the identity of the puzzle |" if spec.num_identities else ""}

The tokens are the characters `{task.symbols}`, from 0 on. With `obs_type="flat"` the observation is one vector of one-hot tokens.

## Starting State

A random puzzle of the split{", in training under a random symmetry" if task.num_uniforms else ""}. The answer is the puzzle, and the
segment is 0.

## Rewards

The last step pays 1 if the answer is right, which means that {right}. Otherwise it pays 0. Every other step
costs `segment_cost`.

## Episode End

The episode terminates when the agent halts, or after segment `max_segments`. It is never truncated.

## Arguments

{arguments(env_id, task, family)}

`gym.make("hrm_gym:{halting_id(env_id)}")` is the twin in which a frozen agent thinks and you decide when to stop.

## Shipped agents

{agents_of(env_id)}

## Family

::: {sizes}
    options:
      heading_level: 3
      members: false

## Version History

- v0: initial version.
""",
        picture,
    )


def arguments(env_id: str, task: Task, family: docstring_parser.Docstring) -> str:
    """The arguments of `gym.make` as tables: those of all environments, then those of the family."""
    lines = ["| argument | default | meaning |", "| --- | --- | --- |"]
    docs = field_docs(EnvOptions)
    for field in dataclasses.fields(EnvOptions):
        lines.append(f"| `{field.name}` | `{field.default!r}` | {docs.get(field.name, '')} |")
    lines.append("| `render_mode` | `None` | `human`, `rgb_array` or `ansi` |")
    given = gym.spec(env_id).kwargs
    for parameter in family.params:
        usual = inspect.signature(type(task)).parameters.get(parameter.arg_name)
        default = given.get(parameter.arg_name, usual.default if usual else None)
        text = " ".join((parameter.description or "").split())
        lines.append(f"| `{parameter.arg_name}` | `{default!r}` | {text} |")
    return "\n".join(lines)


def agents_of(env_id: str) -> str:
    """A link to the results of the agent that ships for an environment."""
    if not (PRETRAINED / f"{env_id}.md").is_file():
        return "None has a card of its own; `hrm-gym agents` lists what ships."
    return f"[{env_id}](../results.md#{env_id.lower()}) in the results."


def rating(family: type[Task]) -> str:
    """What the difficulty of a puzzle is, without the shapes of arrays."""
    if family.rate is Task.rate:
        return "not rated"
    text = inspect.cleandoc(family.rate.__doc__ or "").splitlines()[0].removeprefix("As `Task.rate`: ")
    text = re.sub(r"[,;] (int64 of )?shape \(N(, L|,)\)| See .*", "", text).removesuffix(".")
    return text[:1].lower() + text[1:]


def puzzle_picture(task: Any) -> bytes:
    """A test puzzle and its solution side by side, as a PNG."""
    first = task.dataset("test").map(lambda array: np.asarray(array[0]).astype(np.int64))
    identity = None if first.identity is None else int(first.identity)
    renderer = BoardRenderer(task)
    known = {"puzzle": first.puzzle, "solution": first.solution, "identity": identity}
    puzzle = renderer.rgb(Frame(answer=first.puzzle, **known))
    solved = renderer.rgb(Frame(answer=first.solution, segment=1, ended="halted", **known))
    both = np.concatenate((puzzle[: -26 or None], solved[: -26 or None]), axis=1)
    buffer = io.BytesIO()
    Image.fromarray(both).save(buffer, "PNG")
    return buffer.getvalue()


# ---- agents and halting rules ------------------------------------------------------------------------------------


def listing(title: str, about: str, names: list[str], find: Any) -> str:
    """A page with a line for each agent or rule."""
    rows = [f"| [`{name}`]({name}.md) | {first_line(find(name))} |" for name in names]
    return "\n".join([f"# {title}", "", about, "", "| name | what it is |", "| --- | --- |", *rows]) + "\n"


def agents_page() -> str:
    """All architectures, a line each."""
    about = (
        "Each is a name for `hrm-gym train --agent NAME`. You can write [your own](../own_agents.md). "
        "[The lineage](../lineage.md) says what was measured with each."
    )
    return listing("Agents", about, shipped_agents(), agent_class)


def rules_page() -> str:
    """All halting rules, a line each."""
    about = (
        "Each is a name for `hrm-gym train --halting NAME`. [Decide when to stop](../halting.md) helps to choose; "
        "you can write [your own](../own_halting_rules.md)."
    )
    return listing("Halting rules", about, shipped_rules(), halting_class)


def agent_page(name: str) -> str:
    """An architecture: what it is, how to train it, its options."""
    cls = agent_class(name)
    env = "SudokuExtreme-v0" if cls.form == "groups" else "Sudoku6x6-v0"
    base = name.removesuffix("_symbols").removesuffix("_grid").removesuffix("_planes")
    lines = [f"# {name}", "", *described(cls, [agent_class(other) for other in shipped_agents()]), ""]
    if (DOCS / "lineage" / f"{base}.svg").exists():
        lines += [f"![One segment](../lineage/{base}.svg)", ""]
    lines += ["```bash", f"hrm-gym train --env {env} --agent {name}", "```", ""]
    lines += [f"What was measured: [{base}](../lineage/{base}.md).", ""]
    lines += [f"Default halting rule: [`{cls.halting}`](../halting_rules/{cls.halting}.md).", ""]
    return "\n".join([*lines, "## Options", "", "Presets change the defaults.", "", *config_table(cls.Config)]) + "\n"


def rule_page(name: str) -> str:
    """A halting rule: what it is and its options."""
    cls = halting_class(name)
    lines = [f"# {name}", "", *described(cls, [halting_class(other) for other in shipped_rules()]), ""]
    lines += ["```bash", f"hrm-gym train --env Sudoku6x6-v0 --halting {name}", "```", ""]
    if name == "end_token":
        lines[-4:] = [""]  # it needs an agent that writes a text
    return "\n".join([*lines, "## Options", "", *config_table(cls.Config)]) + "\n"


def described(cls: type, others: list[type]) -> list[str]:
    """The text of the class's module; before it the class's own line if the module has several."""
    module = inspect.getmodule(cls)
    about = inspect.cleandoc(module.__doc__ or "") if module else ""
    alone = [other for other in others if inspect.getmodule(other) is module] == [cls]
    return [about] if alone else [first_line(cls), "", about]


def first_line(cls: type) -> str:
    """The first line of a class's docstring."""
    return inspect.cleandoc(cls.__doc__ or "").splitlines()[0]


def config_table(config: type) -> list[str]:
    """The fields of a dataclass as a table of options."""
    if not dataclasses.is_dataclass(config) or not dataclasses.fields(config):
        return ["It has none."]
    lines = ["| option | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    docs, kinds = field_docs(config), get_type_hints(config)
    for field in dataclasses.fields(config):
        bounds = field.metadata.get("bounds")
        allowed = ", ".join(f"`{choice}`" for choice in get_args(kinds[field.name]) if isinstance(choice, str))
        allowed = allowed or ("" if bounds is None else str(bounds))
        option = f"`--{field.name.replace('_', '-')}`"
        lines.append(f"| {option} | `{field.default}` | {allowed} | {docs.get(field.name, '')} |")
    return lines


def field_docs(cls: type) -> dict[str, str]:
    """The text under each field of a dataclass and its bases."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                docs[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore[union-attr]
    return docs


# ---- commands ----------------------------------------------------------------------------------------------------


def options_page() -> str:
    """The options of every command."""
    lines = ["# Options of every command", "", "Generated from the code. `hrm-gym COMMAND --help` prints the same."]
    for command, what in COMMANDS.items():
        form = RunOptions if command == "train" else importlib.import_module(f"hrm_gym.cli.{command}").Arguments
        lines += ["", f"## {command}", "", f"`hrm-gym {command}`: {what}.", ""]
        if command == "train":
            lines += [
                "[Agents](agents/index.md) and [halting rules](halting_rules/index.md) add options; presets change defaults.",
                "",
            ]
        options = list(options_of(form))
        lines += ["| option | default | meaning |", "| --- | --- | --- |"] if options else ["It has no options."]
        for option in options:
            default = "" if option.default in (dataclasses.MISSING, "", None) else f"`{option.default}`"
            lines.append(f"| `{option.flag}` | {default} | {' '.join(option.text.split())} |")
    return "\n".join(lines) + "\n"
