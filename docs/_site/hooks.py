"""What MkDocs cannot do by itself: pages made from code, and links from pages to files of the repository.

`pages` makes a page for each environment, agent, halting rule and command. Notebooks become pages with their figures,
and so does every file that some page links to by `../path`.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from pages import (
    agent_page,
    agents_page,
    environment_page,
    options_page,
    rule_page,
    rules_page,
    shipped_agents,
    shipped_envs,
    shipped_rules,
)

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TEXT = re.compile(r"(?<=>)[^<]+")
COMMANDS = re.compile(r'<div class="language-bash highlight">.*?</div>', re.DOTALL)
INLINE_CODE = re.compile(r"(?<!<pre>)(?<!</span>)<code>([^<]*)</code>")
WORD = re.compile(r"(?<!\S)[^\s<]*-[^\s<]{1,30}(?!\S)")
LINK = re.compile(r"\]\((?!https?:)((?:\.\./)+)([\w./-]+)(#[\w-]*)?\)")


def on_config(config: Any) -> Any:
    """Fill the navigation; without the address of a repository there is no link to edit a page."""
    if not config.repo_url:
        config.repo_url = config.edit_uri = None
    made = {
        "ENVIRONMENTS": [{env_id: f"environments/{env_id}.md"} for env_id in shipped_envs()],
        "AGENTS": ["agents/index.md", *({name: f"agents/{name}.md"} for name in shipped_agents())],
        "RULES": ["halting_rules/index.md", *({name: f"halting_rules/{name}.md"} for name in shipped_rules())],
        "LINEAGE": ["lineage.md", *(f"lineage/{path.name}" for path in sorted((DOCS / "lineage").glob("*.md")))],
    }

    def filled(entries: Any) -> Any:
        if isinstance(entries, list):
            if len(entries) == 1 and entries[0] in made:
                return made[entries[0]]
            return [filled(entry) for entry in entries]
        if isinstance(entries, dict):
            return {name: filled(entry) for name, entry in entries.items()}
        return entries

    config.nav = filled(config.nav)
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
    add("halting_rules/index.md", rules_page())
    for name in shipped_rules():
        add(f"halting_rules/{name}.md", rule_page(name))
    add("options.md", options_page())
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")):
        page, pictures = notebook_page(path)
        add(f"notebooks/{path.stem}.md", page)
        for name, picture in pictures.items():
            add(f"notebooks/{name}", picture)
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    add("contributing.md", contributing.replace("](docs/", "]("))
    for path in sorted(linked_files()):
        add(f"source/{path}.md", source_page(path))
    return files


def on_post_build(config: Any) -> None:
    """Add what `think.py` has made, if it has run, to the page that thinks."""
    made = ROOT / "build" / "think"
    if (made / "agents.json").is_file():
        shutil.copytree(made, Path(config.site_dir) / "think", dirs_exist_ok=True)


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


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """The cells of a notebook with what they printed, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}_{len(pictures)}.png"
                pictures[name] = base64.b64decode(data["image/png"])
                parts.append(f"![What the cell draws]({name})")
            elif output["output_type"] == "stream" and output["name"] == "stdout":
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
    return "\n\n".join(parts) + f"\n\nThe notebook itself: [{path.name}]({path.name}).\n", pictures


def linked_files() -> set[str]:
    """Files outside the documentation that its pages link to."""
    found: set[str] = set()
    for path in DOCS.rglob("*.md"):
        depth = len(path.relative_to(DOCS).parts)
        found |= {link[2] for link in LINK.finditer(path.read_text(encoding="utf-8")) if link[1].count("../") == depth}
    return {path for path in found if (ROOT / path).is_file()}


def source_page(path: str) -> str:
    """A file of the repository as a page."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return re.sub(r"\]\((?!http)[^)]*\)", "]", text).replace("[", "").replace("]", "")
    return f"# `{path}`\n\n````python\n{text}````\n"
