"""Collect what the lent machine needs and has not into a folder that git ignores: wheels, and real puzzles.

    python benchmarks/campaign/pack.py
    python benchmarks/campaign/pack.py --puzzles FOLDER
    python benchmarks/campaign/pack.py --python 3.11 --out elsewhere

Generated puzzles ship with the package. Real ones are only for measuring: give the folder that holds
`sudoku-extreme-matched.csv.gz` and `maze-30x30-hard.csv.gz`, and scores on them are there before the machine is gone.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIMIT = 60 * 2**20
"""Bytes of the folder and the working tree that may travel together, with some room below 64 MiB."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
SUDOKU, MAZE = "sudoku-extreme-matched.csv.gz", "maze-30x30-hard.csv.gz"
ROWS = slice(500, 1500)
"""The matched Sudokus that shipped agents are measured on."""


def wanted() -> list[str]:
    """The packages of `wheels.txt`, with the versions that the tests run with.

    Raises:
        SystemExit: where one has no version.
    """
    lines = [line.partition("#")[0].strip() for line in (HERE / "wheels.txt").read_text().splitlines()]
    pinned = [line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    versions = {plain(name): version for name, version in pinned}
    names = [line for line in lines if line]
    if missing := [name for name in names if plain(name) not in versions]:
        raise SystemExit(f"wheels.txt names {', '.join(missing)}, which constraints.txt has no version of")
    return [f"{name}=={versions[plain(name)]}" for name in names]


def plain(name: str) -> str:
    """A package's name as registries compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def real_puzzles(folder: Path, out: Path) -> None:
    """Copy the real puzzles that are measured on.

    Raises:
        SystemExit: where a file is missing.
    """
    for name in (SUDOKU, MAZE):
        if not (folder / name).is_file():
            raise SystemExit(f"{folder / name} is missing")
    out.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / SUDOKU, "rt") as file:
        head, *rows = file.read().splitlines()
    (out / "sudoku.csv").write_text("\n".join((head, *rows[ROWS])) + "\n")
    (out / "maze.csv.gz").write_bytes((folder / MAZE).read_bytes())


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Collect and tell the size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", default="3.12", help="of the lent machine")
    parser.add_argument("--puzzles", type=Path, help="the folder of the real puzzles")
    parser.add_argument("--out", type=Path, default=ROOT / ".campaign")
    args = parser.parse_args()
    wheels = args.out / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for old in wheels.glob("*.whl"):
        old.unlink()  # two versions of a package would stop the installation
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", args.python, "--dest", str(wheels)]
    command += [part for platform in PLATFORMS for part in ("--platform", platform)]
    if subprocess.run([*command, *wanted()], check=False).returncode:
        raise SystemExit("pip could not fetch the wheels")
    if args.puzzles:
        real_puzzles(args.puzzles, args.out / "puzzles")
    for path in sorted(args.out.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size / 2**20:8.2f} MiB  {path.relative_to(args.out)}")
    tree = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = sum((ROOT / name).stat().st_size for name in tree.split("\0") if name and (ROOT / name).is_file())
    whole = size(args.out) + tracked
    print(f"{whole / 2**20:8.2f} MiB in all, {tracked / 2**20:.2f} of them the working tree")
    if whole > LIMIT:
        raise SystemExit(f"more than {LIMIT / 2**20:.0f} MiB: leave something out")


if __name__ == "__main__":
    main()
