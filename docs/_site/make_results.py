"""Writes `docs/results.md` and the table of the README from the cards of the shipped agents.

    python docs/_site/make_results.py

So every figure has one source, its card; `tests/test_pages.py` checks that both files are what this writes.
"""

from __future__ import annotations

import re
from pathlib import Path

from hrm_gym.agents.saved.card import headline
from hrm_gym.agents.saved.sources import PRETRAINED

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- written by docs/_site/make_results.py -->", "<!-- end -->"
ORDER = (
    "SudokuExtreme-v0",
    "Sudoku9x9-v0",
    "Sudoku6x6-v0",
    "Sudoku4x4-v0",
    "MazeHard-v0",
    "MazeSmall-v0",
)
"""Cards that come first, in this order; others follow by name."""

INTRODUCTION = """# Results

<!-- written by docs/_site/make_results.py from the cards in hrm_gym/agents/pretrained -->

How well does each shipped agent solve puzzles that it has not trained on? This page lists every figure with its conditions. It is
generated from the agents' cards, and other pages refer to it.

- *Held-out* puzzles are test puzzles or real puzzles. No agent was trained on them.
- *Exact* means that the answer equals the given solution in every cell. *Valid* means that it satisfies the rules.
- Brackets are 95 % Wilson intervals over puzzles, not over training seeds. Each agent comes from one training.
- *Real Sudokus* are rows of 10,000 puzzles matched to the Sudoku-Extreme benchmark. *Real mazes* are the 1,000 of Maze-Hard.
- The agents for 4x4 and 6x6 were trained before there was a validation split. Their presets were chosen on the test puzzles.

All agents are HRM: two recurrent modules, with Q-learning of when to halt. Each was trained by the command in its table;
`Sudoku9x9-v0` has no agent of its own and uses that of `SudokuExtreme-v0`.
[Read an evaluation](evaluation.md) explains the terms, and the [lab notes](lab/index.md) say what else was tried.
"""

ARC_EVALUATION = "19.8 % (16.1 to 23.9)"
"""Of the 400 evaluation tasks of ARC-AGI-1, within two attempts, 40 seconds of a core each (docs/lab/arc.md)."""

OTHERS = f"""## What others report

These figures are for orientation. They come from larger networks on GPUs and from the benchmarks' own test files.

| benchmark | who | conditions | exact |
| --- | --- | --- | --- |
| Sudoku-Extreme | the HRM paper | 27 M parameters, 1,000 training puzzles, GPU | 55 % |
| Sudoku-Extreme | reproductions of HRM | one to one and a half hours on one H200 or RTX 5090 | 46 to 57 % |
| Sudoku-Extreme | the recipe behind `--preset gpu` | 54 minutes on an RTX 5090 | 84 to 87 % |
| Maze-Hard | the HRM paper | 27 M parameters, 1,000 training mazes, GPU | 74.5 % |
| ARC-AGI-1, evaluation tasks | the HRM paper | trained for hours on GPUs | 40 % |
| ARC-AGI-1, evaluation tasks | CompressARC, which learns each task alone | twenty minutes of a GPU per task | 20 % |

Our ARC solver, which also learns each task alone, solves {ARC_EVALUATION} of the same evaluation tasks in 36 seconds of one core per task
([ARC](arc.md#what-to-expect)). We have not run the GPU presets to the end.
"""


def cards() -> dict[str, str]:
    """The text of each card by its name."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in PRETRAINED.glob("*.md")}
    names = [*ORDER, *sorted(set(found) - set(ORDER))]
    return {name: found[name] for name in names if name in found}


def row(card: str, name: str) -> str:
    """A row of a card; empty if there is none."""
    found = re.search(rf"^\| {re.escape(name)} \| (.+) \|$", card, re.MULTILINE)
    return found[1] if found else ""


def figure(name: str) -> str:
    """The main figure of an agent with its interval, such as "97.8 % (96.7 to 98.5)"."""
    found = re.match(r"([\d.]+) % exact \(95 %: ([\d.]+ to [\d.]+)\)", headline(PRETRAINED / f"{name}.md"))
    if found is None:
        raise SystemExit(f"the headline of {name} does not begin with a figure and its interval")
    return f"{found[1]} % ({found[2]})"


def results() -> str:
    """The page."""
    lines = [INTRODUCTION, "## Shipped agents", "", "| agent | main figure |", "| --- | --- |"]
    for name, card in cards().items():
        lines.append(f"| [{name}](#{name.lower()}) | {row(card, 'headline')} |")
    for name, card in cards().items():
        body = re.sub(r"\]\((\S+)\.md\)", lambda link: f"](#{link[1].lower()})", card.partition("\n")[2])
        lines += ["", f"## {name}", "", body.strip()]
    return "\n".join([*lines, "", OTHERS])


def readme_table() -> str:
    """Five rows for the README."""
    solved = row(cards()["SudokuExtreme-v0"], "`hrm-gym solve`, which checks the rules")
    seconds = re.search(r"median ([\d.]+ s)", solved)
    rows = (
        ("1,000 real Sudokus, within 64 segments", figure("SudokuExtreme-v0"), "260 minutes of one core"),
        ("1,000 real 30x30 mazes, within 64 segments", figure("MazeHard-v0"), "165 minutes of one core"),
        ("400 ARC-AGI-1 evaluation tasks, two attempts", ARC_EVALUATION, "40 seconds of one core, on each task"),
        ("1,000 6x6 Sudokus, after 16 segments", figure("Sudoku6x6-v0"), "5 minutes of two cores"),
        (
            "speed: a real Sudoku by `solve`, once loaded",
            f"median {seconds[1] if seconds else ''} on one core",
            "as in row one",
        ),
    )
    lines = ["| held-out puzzles | solved (95 % interval) | training |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


def with_table(text: str) -> str:
    """The README with its table replaced."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{readme_table()}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write both files."""
    (ROOT / "docs" / "results.md").write_text(results(), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
