"""How the pages read: short sentences, short pages, one source for every headline figure, links that lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest

from hrm_gym.agents.saved.card import headline
from hrm_gym.agents.saved.sources import PRETRAINED

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
RESULTS = DOCS / "results.md"
USE = sorted(
    path
    for name in re.findall(
        r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text().partition("- Use:")[2].partition("\n  - ")[0]
    )
    if (path := DOCS / name).is_file() and name != "libraries.md"  # seven libraries on one page
)
"""The pages of the shelf *Use* in `mkdocs.yml`; notebooks have no such file."""
WRITTEN = [README, *(path for path in sorted(DOCS.rglob("*.md")) if path != RESULTS)]
"""Pages that people write."""
HABITS = (r"\btold\b", r"\banew\b", r"\bbut for\b", r"\bthat which\b", r"\bof which another\b", r"\bas many more\b")
"""Words of inverted or archaic sentences; docs say them in plain English."""


def make_results():
    """The module that writes the results."""
    path = DOCS / "_site" / "make_results.py"
    spec = importlib.util.spec_from_file_location("make_results", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose(text):
    """The text of a page without code, comments and the addresses of links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`[^`]*`", "CODE", text)


def sentences(text):
    """Every sentence of a page; headings, list items and cells of tables end one."""
    pieces, paragraph = [], []
    for line in [*prose(text).splitlines(), ""]:
        if line.startswith("|"):
            pieces += line.strip("| ").split("|")
        elif not line.strip() or re.match(r"\s*(#|- |\d+\. )", line):
            pieces.append(" ".join(paragraph))
            paragraph = [re.sub(r"^\s*(#+|-|\d+\.) ", "", line)]
        else:
            paragraph.append(line)
    for piece in pieces:
        yield from re.split(r"(?<=[.?!:;])[*_\")]* +(?=[A-Z*\"`(])", piece.strip())


def test_sentences_are_separated():
    text = "# A title\n\nOne two. Three `a b c` four:\nfive six [seven](x.md)\n\n- An item\n\n| a b | c |\n"
    text += "\n```bash\nno\n```\n"
    found = [" ".join(sentence.split()) for sentence in sentences(text) if sentence.strip()]
    assert found == ["A title", "One two.", "Three CODE four: five six seven", "An item", "a b", "c"]


@pytest.mark.parametrize("path", [README, *USE], ids=lambda path: path.name)
def test_no_sentence_is_longer_than_thirty_words(path):
    for sentence in sentences(path.read_text()):
        words = re.findall(r"\w[\w'.-]*", sentence)
        assert len(words) <= 30, f"{len(words)} words: {sentence}"


@pytest.mark.parametrize("path", USE, ids=lambda path: path.name)
def test_a_page_of_use_is_one_task(path):
    assert len(path.read_text().split()) <= 900


@pytest.mark.parametrize("path", [README, *USE], ids=lambda path: path.name)
def test_no_code_is_clipped(path):
    """The site shows 88 characters; commands of the shell go on in the next line."""
    for block in re.findall(r"^```(?:python|text)\n(.*?)^```", path.read_text(), flags=re.S | re.M):
        assert max(map(len, block.splitlines())) <= 88


def test_the_readme_is_short():
    text = README.read_text()
    assert len(text.split()) <= 700 and len(text.splitlines()) <= 80


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_the_habits(path):
    text = prose(path.read_text())
    assert not [found for habit in HABITS for found in re.findall(habit, text)]


# ---- figures ---------------------------------------------------------------------------------------------


def test_the_results_are_those_of_the_cards():
    made = make_results()
    assert RESULTS.read_text() == made.results(), "run docs/_site/make_results.py"
    assert README.read_text() == made.with_table(README.read_text()), "run docs/_site/make_results.py"


@pytest.mark.parametrize("card", sorted(PRETRAINED.glob("*.md")), ids=lambda path: path.stem)
def test_a_headline_stands_on_one_page(card):
    """On the page of results, and in what is generated from the card; nobody types it once more."""
    figure = headline(card)
    intervals = re.findall(r"[\d.]+ to [\d.]+", figure)
    assert intervals and all(interval in RESULTS.read_text() for interval in intervals)
    made = make_results()
    for path in WRITTEN:
        text = path.read_text()
        text = text.partition(made.BEGIN)[0] + text.partition(made.END)[2] if path == README else text
        assert not [interval for interval in intervals if interval in text], path.name
        if path in (README, *USE):
            shares = [share for share in re.findall(r"[\d.]+ %", figure) if share not in ("95 %", "100.0 %")]
            assert not [share for share in shares if re.search(rf"(?<![\d.]){re.escape(share)}", text)], path.name


# ---- links -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_outside_the_site_lead_somewhere(name):
    """Those of the site are checked by its strict build."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", (ROOT / name).read_text()):
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), flags=re.M)
            assert anchor in [re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in headings]


def test_the_reference_names_every_export():
    import hrm_gym
    from hrm_gym import agents
    from hrm_gym.agents import analysis

    page = (DOCS / "reference.md").read_text()
    for name in {*hrm_gym.__all__, *agents.__all__, *analysis.__all__}:
        assert re.search(rf"[.`]{re.escape(name)}\b", page), name


def test_every_page_of_the_reference_comes_from_the_code(monkeypatch):
    pytest.importorskip("docstring_parser")
    monkeypatch.syspath_prepend(str(DOCS / "_site"))
    import gymnasium as gym
    import pages

    page, picture = pages.environment_page("Sudoku4x4-v0")
    headings = re.findall(r"^## (.+)$", page, flags=re.M)
    usual = [
        "Description",
        "Action Space",
        "Observation Space",
        "Starting State",
        "Rewards",
        "Episode End",
        "Arguments",
    ]
    assert picture and [title for title in headings if title in (*usual, "Version History")] == [
        *usual,
        "Version History",
    ]
    edits = gym.make("hrm_gym:Sudoku4x4-v0", action_type="edit").action_space
    env = gym.make("hrm_gym:Sudoku4x4-v0")
    assert (
        f"Discrete({edits.n})" in page and f"[{env.action_space.nvec[0]}] * {len(env.action_space) - 1} + [2]" in page
    )
    for name in pages.shipped_rules():
        config = pages.halting_class(name).Config
        assert all(f"--{field.replace('_', '-')}`" in pages.rule_page(name) for field in config.__dataclass_fields__)
    options = pages.options_page()
    assert all(f"## {command}\n" in options for command in pages.COMMANDS) and "| `--rollouts` | `1` |" in options
