"""The package's own structure: data flows one way between its rooms, and each file is read in one sitting.

Every import counts: at the top of a file, inside a function, and for types only. Modules that the registries name by
strings are no imports.
"""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hrm_gym"

ROOMS = (
    ("errors",),
    ("files", "options", "outside", "shares", "hugging_face", "apple", "linked", "version"),
    # ---- the environments
    ("envs.reading.layout", "envs.jit"),
    (
        "envs.arrays",
        "envs.compiled",
        "envs.arguments",
        "envs.splitmix",
        "envs.rng",
        "envs.slots",
        "envs.puzzles",
        "envs.options",
    ),
    (
        "envs.task",
        "envs.checks",
        "envs.generated",
        "envs.registration",
        "envs.datasets",
        "envs.guesses",
        "envs.rules",
        "envs.reading",
    ),
    ("envs.drawing",),
    ("envs.puzzle_env", "envs.vector_env", "envs.halting"),
    ("envs.arc", "envs.maze", "envs.sequences", "envs.sudoku", "envs.walks"),
    ("envs",),
    # ---- the agents
    ("agents.state", "agents.agent", "agents.surroundings"),
    ("agents.halting",),
    ("agents.policy", "agents.registry"),
    ("agents.models",),
    ("agents.lineage",),
    ("agents.saved",),
    ("agents.inference",),
    ("agents.training",),
    ("agents.arc",),
    ("agents.analysis",),
    ("agents.studies",),
    ("agents",),  # the door: it shows what the rooms offer
    # ---- the doors
    ("api",),
    ("",),  # `import hrm_gym` itself
    ("sb3",),
    ("cli",),
    ("__main__",),
)
"""From the lowest to the highest; a module belongs to the room with the longest name that begins its own."""

MOST_LINES = 350


def modules(package=PACKAGE):
    """The files of a package by the names of their modules, such as "envs.task"; the package itself is ""."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path, known, name="hrm_gym"):
    """The modules of the package that a file imports, each with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports by dots: write hrm_gym in full"
            # `from a import b` means the module a.b where there is one, and else something inside a.
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [one if one.removeprefix(f"{name}.") in known else node.module for one in full]
        else:
            continue
        for target in targets:
            if target == name or target.startswith(f"{name}."):
                module = target.removeprefix(name).removeprefix(".")
                while module not in known:  # `import hrm_gym.a.b` of something inside a module
                    module = module.rpartition(".")[0]
                yield module, node.lineno


def graph(package=PACKAGE):
    """For each module: the modules it imports, with the line of each."""
    known = modules(package)
    return {module: dict(imports(path, known)) for module, path in known.items()}


def room(module):
    """The place of a module in `ROOMS`, and the name of its room."""
    prefixes = [
        (len(name), height, name)
        for height, names in enumerate(ROOMS)
        for name in names
        if module == name or (name and module.startswith(f"{name}."))
    ]
    assert prefixes, f"hrm_gym.{module} is in no room: name it in ROOMS"
    _, height, name = max(prefixes)
    return height, name


def circle(edges):
    """The modules of one circle of imports, the first one again at its end; none: an empty list."""
    done = set()

    def walk(module, way):
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for other in edges[module]:
            if found := walk(other, [*way, module]):
                return found
        done.add(module)
        return []

    for module in edges:
        if found := walk(module, []):
            return found
    return []


def arrows_upwards(edges, files):
    """A line for each import of a module from a higher room."""
    lines = []
    for module, others in edges.items():
        for other, line in others.items():
            (own, here), (its, there) = room(module), room(other)
            if its > own:
                lines.append(f"{files[module]}:{line} imports hrm_gym.{other}: the room {there!r} is above {here!r}")
    return lines


@pytest.fixture(scope="module")
def edges():
    return graph()


def test_no_circle_of_imports(edges):
    found = circle(edges)
    steps = [f"{modules()[one]}:{edges[one][other]} imports hrm_gym.{other}" for one, other in pairwise(found)]
    assert not found, "a circle of imports:\n" + "\n".join(steps)


def test_no_import_from_a_higher_room(edges):
    lines = arrows_upwards(edges, modules())
    assert not lines, "\n".join(lines)


def test_hidden_imports_and_those_for_types_are_counted(tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").touch()
    low, high = tmp_path / "agents" / "state.py", tmp_path / "api.py"
    low.write_text("if TYPE_CHECKING:\n    from hrm_gym import api\n")
    high.write_text("def f():\n    from hrm_gym.agents.state import take\n    import hrm_gym.agents.state as nests\n")
    edges = graph(tmp_path)
    assert circle(edges) == ["agents.state", "api", "agents.state"]
    assert arrows_upwards(edges, modules(tmp_path)) == [
        f"{low}:2 imports hrm_gym.api: the room 'api' is above 'agents.state'"
    ]


def test_private_names_stay_in_their_modules():
    private = [
        f"{path}:{node.lineno} imports {alias.name}"
        for path in modules().values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert not private, "\n".join(private)


def test_files_are_read_in_one_sitting():
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in modules().values()}
    long = {name: length for name, length in lengths.items() if length > MOST_LINES}
    assert not long, f"longer than {MOST_LINES} lines: {long}"


@pytest.mark.parametrize("line", ["trainer.envs.step(", "trainer.learner.look_ahead(", "trainer.learner.step("])
def test_the_lines_of_the_loop_stand_once(line):
    files = [path for folder in ("hrm_gym", "benchmarks") for path in (PACKAGE.parent / folder).rglob("*.py")]
    assert [path for path in files if line in path.read_text()] == [PACKAGE / "agents" / "training" / "loop.py"]
