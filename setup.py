"""The README as a package index shows it, where relative links lead nowhere. Everything else is in pyproject.toml."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)]+)\)")


def on_an_index(text: str, repository: str) -> str:
    """Lead relative links into the repository; without its address only their words stay."""

    def lead(found: re.Match[str]) -> str:
        image, words, path = found.groups()
        if not repository:
            return f"*{words}*" if image else words
        return f"{image}[{words}]({repository}/{'raw' if image else 'blob'}/HEAD/{path})"

    return LINK.sub(lead, text)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    setup(
        long_description=on_an_index(readme, project["urls"].get("Repository", "")),
        long_description_content_type="text/markdown",
    )
