"""What MkDocs cannot do by itself: pages made from code, and links from pages to files of the repository.

A page for each environment (its docstring and a rendered puzzle), a page for each agent, notebooks as pages, and a page
for every file that some page links to by `../path`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import itertools
import json
import re
import textwrap
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
from mkdocs.structure.files import File, Files
from PIL import Image

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.registry import agent_class, agent_names
from hrm_gym.agents.saved.sources import PRETRAINED
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import BoardRenderer
from hrm_gym.envs.registration import halting_id, make_task, task_ids
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TEXT = re.compile(r"(?<=>)[^<]+")
COMMANDS = re.compile(r'<div class="language-bash highlight">.*?</div>', re.DOTALL)
INLINE_CODE = re.compile(r"(?<!<pre>)(?<!</span>)<code>([^<]*)</code>")
WORD = re.compile(r"(?<!\S)[^\s<]*-[^\s<]{1,30}(?!\S)")
LINK = re.compile(r"\]\((?!https?:)((?:\.\./)+)([\w./-]+)(#[\w-]*)?\)")


def on_config(config: Any) -> Any:
    """Fill the navigation."""
    environments = ["environments.md", *({env_id: f"environments/{env_id}.md"} for env_id in shipped_envs())]
    agents = ["agents/index.md", *({name: f"agents/{name}.md"} for name in shipped_agents())]
    for section in config.nav:
        for name, entries in section.items():
            if entries == ["ENVIRONMENTS"]:
                section[name] = environments
            elif entries == ["AGENTS"]:
                section[name] = agents
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from code."""

    def add(uri: str, content: str | bytes) -> None:
        files.append(File.generated(config, uri, content=content))

    for env_id in shipped_envs():
        page, picture = environment_page(env_id)
        add(f"environments/{env_id}.md", page)
        if picture:
            add(f"environments/{env_id}.png", picture)
    add("agents/index.md", agents_page())
    for name in shipped_agents():
        add(f"agents/{name}.md", agent_page(name))
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")):
        add(f"notebooks/{path.stem}.md", notebook_page(path))
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    add("contributing.md", contributing.replace("](docs/", "]("))
    for path in sorted(linked_files()):
        add(f"source/{path}.md", source_page(path))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files of the repository lead to their pages in the site."""
    depth = page.file.src_uri.count("/")

    def into_site(found: re.Match[str]) -> str:
        ups, path, anchor = found.groups()
        if ups.count("../") <= depth or not (ROOT / path).is_file():
            return found.group(0)
        return f"]({'../' * depth}source/{path}.md{anchor or ''})"

    return LINK.sub(into_site, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Words with hyphens in sentences and commands stay whole: `--headless` is not cut after its first hyphen."""

    def marked(found: re.Match[str]) -> str:
        return TEXT.sub(lambda text: WORD.sub(r'<span class="whole">\g<0></span>', text.group()), found.group())

    return COMMANDS.sub(marked, INLINE_CODE.sub(marked, content))


# ---- pages -------------------------------------------------------------------------------------------------------


def shipped_envs() -> list[str]:
    """Ids of the package's own puzzles."""
    return [env_id for env_id in task_ids() if type(make_task(env_id)).__module__.startswith("hrm_gym.")]


def shipped_agents() -> list[str]:
    """Names of the package's own agents."""
    return [name for name in agent_names() if agent_class(name).__module__.startswith("hrm_gym.")]


def environment_page(env_id: str) -> tuple[str, bytes | None]:
    """Its page, and its picture where its puzzles are there."""
    task = make_task(env_id)
    spec = TaskSpec.of(task)
    doc = inspect.cleandoc(type(task).__doc__ or "").split("\n\nArgs:")[0]
    twin = halting_id(env_id)
    lines = [f"# {env_id}", "", doc, ""]
    try:
        picture = puzzle_picture(task)
        lines += ["![A puzzle and its solution](" + env_id + ".png)", ""]
    except HrmGymError as error:  # data that this family does not ship
        picture = None
        lines += [f"No picture here: {error}.", ""]
    cells, tokens, board = spec.num_cells, spec.num_tokens, f"{spec.rows}x{spec.columns} board"
    facts = {
        "You see": f"`puzzle`: {cells} tokens, the {board} row by row; `answer`, the same; `segment`",
        "You do": f"`MultiDiscrete`: a token below {tokens} for each of {cells} cells, then 0 to continue or 1 to halt",
        "Symbols": f"`{task.symbols}`, one a token, in their order",
        "You get": "1 for a right answer when the episode ends, else 0; *continue* costs `segment_cost`",
        "Right is": "an answer that satisfies the rules" if task.verifiable else "the solution",
        "It ends": "when you halt, or with the last segment (`max_segments`, 16)",
        "Difficulty": rating(type(task)),
    }
    lines += [
        "```python",
        "import gymnasium as gym",
        "",
        f'env = gym.make("hrm_gym:{env_id}", split="train")',
        "obs, info = env.reset(seed=0)",
        "```",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {text} |" for name, text in facts.items()),
    ]
    lines += ["", f"`{twin}` is its twin in which a frozen agent thinks and you only decide when to stop.", ""]
    card = PRETRAINED / f"{env_id}.md"
    if card.is_file():
        text = re.sub(r"^# .*\n", "", card.read_text())
        lines += [
            "## The agent that ships",
            "",
            "```bash",
            f"hrm-gym play --env {env_id}",
            f"hrm-gym evaluate --env {env_id}",
            "```",
            text.replace("\n## ", "\n### "),
        ]
    lines += ["## The family", "", f"::: {type(task).__module__}.{type(task).__name__}", "    options:"]
    lines += ["      heading_level: 3", "      members: false", ""]
    return "\n".join(lines), picture


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


def agents_page() -> str:
    """All architectures, a line each."""
    lines = [
        "# Agents",
        "",
        "Each is a name for `hrm-gym train --agent NAME`; `hrm-gym agents` prints them, too. You can write",
    ]
    lines += [
        "[one of your own](../own_agents.md). [The lineage](../lineage.md) tells what came before HRM and beside it.",
        "",
    ]
    lines += ["| agent | what it is |", "| --- | --- |"]
    for name in shipped_agents():
        doc = inspect.cleandoc(agent_class(name).__doc__ or "").splitlines()[0]
        lines.append(f"| [`{name}`]({name}.md) | {doc} |")
    return "\n".join(lines) + "\n"


def agent_page(name: str) -> str:
    """An architecture: what it is, how to train it, its options."""
    cls = agent_class(name)
    module = inspect.getmodule(cls)
    doc = inspect.cleandoc(cls.__doc__ or "").splitlines()[0]
    about = inspect.cleandoc(module.__doc__ or "") if module else ""
    alone = [other for other in shipped_agents() if inspect.getmodule(agent_class(other)) is module] == [name]
    env = "SudokuExtreme-v0" if agent_class(name).form == "groups" else "Sudoku6x6-v0"
    lines = [f"# {name}", "", *(() if alone else (doc, "")), about, ""]
    drawn = name.removesuffix("_symbols").removesuffix("_grid")
    if (DOCS / "lineage" / f"{drawn}.svg").exists():
        lines += [f"![One segment](../lineage/{drawn}.svg)", "", "[What the signs mean](../lineage.md)", ""]
    lines += ["```bash", f"hrm-gym train --env {env} --agent {name}", "```", ""]
    lines += [f"Halting rule where you choose none: `{cls.halting}`.", "", "## Options", ""]
    lines += ["Presets change the defaults; `--help` shows those of yours.", ""]
    lines += ["| option | default | allowed | what it is |", "| --- | --- | --- | --- |"]
    docs = field_docs(cls.Config)
    for field in dataclasses.fields(cls.Config):
        option, bounds = f"`--{field.name.replace('_', '-')}`", field.metadata.get("bounds")
        choices = get_args(get_type_hints(cls.Config)[field.name])
        allowed = ", ".join(f"`{choice}`" for choice in choices) or ("" if bounds is None else str(bounds))
        lines.append(f"| {option} | `{field.default}` | {allowed} | {docs.get(field.name, '')} |")
    return "\n".join(lines) + "\n"


def field_docs(cls: type) -> dict[str, str]:
    """The text under each field of a dataclass and its bases."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                docs[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore[union-attr]
    return docs


def notebook_page(path: Path) -> str:
    """The cells of a notebook."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + f"\n\nThe notebook itself: [{path.name}]({path.name}).\n"


def linked_files() -> set[str]:
    """Files outside the documentation that its pages link to."""
    texts = [path.read_text() for path in DOCS.glob("*.md")]
    found = {match.group(2) for text in texts for match in LINK.finditer(text) if match.group(1) == "../"}
    return {path for path in found if (ROOT / path).is_file()}


def source_page(path: str) -> str:
    """A file of the repository as a page."""
    text = (ROOT / path).read_text()
    if path.endswith(".md"):
        return re.sub(r"\]\((?!http)[^)]*\)", "]", text).replace("[", "").replace("]", "")
    return f"# `{path}`\n\n````python\n{text}````\n"
