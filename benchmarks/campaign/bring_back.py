"""Runs into files that may leave the lent machine, and back into runs.

    python benchmarks/campaign/bring_back.py pack RUNS LOGS --out FOLDER
    python benchmarks/campaign/bring_back.py join FOLDER --to RUNS

`pack` may be called while training goes on. Of a checkpoint it takes the averaged weights, in float32, and leaves the
slots, the optimizer and the rest: by `--init-from` a new run can begin from them. Everything else of a run's folder
comes along: configuration, result, evaluations, TensorBoard's events. The pieces are of at most 16 MiB.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

from hrm_gym.agents.saved import checkpoint as checkpoints

PIECE = 16 * 2**20 - 4096
"""Bytes of a piece."""
PIECES = 4
"""The most that may leave at once, so that they and what else is written stay within 64 MiB."""
INDEX = "pieces.json"


def slim(run: Path, target: Path) -> None:
    """Copy a run's folder with the averaged weights alone."""
    target.mkdir(parents=True)
    for path in run.iterdir():
        if path.is_file() and path.name != checkpoints.FILE_NAME and not path.name.startswith("."):
            shutil.copy2(path, target)
    if (run / checkpoints.FILE_NAME).is_file():
        saved = checkpoints.load(run)
        kept = ("step", "seconds", "curve", "identities", "examples", "device")
        saved = dataclasses.replace(
            saved,
            counters={name: saved.counters[name] for name in kept if name in saved.counters},
            tensors={name: tensor for name, tensor in saved.tensors.items() if name.startswith("ema/")},
        )
        checkpoints.save(target / checkpoints.FILE_NAME, saved)


def pack(runs: Path, logs: Path, out: Path, piece: int = PIECE) -> list[Path]:
    """Write all runs and logs into pieces under `out`.

    Raises:
        SystemExit: where there are more pieces than may leave.
    """
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for run in sorted(path.parent for path in runs.glob("*/config.json")):
            slim(run, Path(folder) / run.name)
            archive.add(Path(folder) / run.name, run.name)
        if logs.is_dir():
            archive.add(logs, "logs")
    whole = buffer.getvalue()
    parts = [whole[begin : begin + piece] for begin in range(0, len(whole), piece)]
    if len(parts) > PIECES:
        raise SystemExit(f"{len(whole) / 2**20:.0f} MiB are more than {PIECES} pieces: bring back fewer runs at a time")
    out.mkdir(parents=True, exist_ok=True)
    names = [f"runs.tar.gz.{number}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        (out / name).write_bytes(part)
    index = {"sha256": hashlib.sha256(whole).hexdigest(), "pieces": names}
    (out / INDEX).write_text(json.dumps(index) + "\n")
    return [out / name for name in (*names, INDEX)]


def join(folder: Path, target: Path) -> list[str]:
    """Unpack pieces; gives the names of what came out.

    Raises:
        SystemExit: where a piece is missing or damaged.
    """
    index = json.loads((folder / INDEX).read_text())
    if missing := [name for name in index["pieces"] if not (folder / name).is_file()]:
        raise SystemExit(f"{folder} lacks {', '.join(missing)}")
    whole = b"".join((folder / name).read_bytes() for name in index["pieces"])
    if hashlib.sha256(whole).hexdigest() != index["sha256"]:
        raise SystemExit(f"the pieces in {folder} are damaged, or of two different calls")
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(whole), mode="r:gz") as archive:
        archive.extractall(target, filter="data")
        return sorted({name.partition("/")[0] for name in archive.getnames()})


def main() -> None:
    """Pack or join."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("runs", type=Path)
    packing.add_argument("logs", type=Path)
    packing.add_argument("--out", type=Path, required=True)
    joining = commands.add_parser("join")
    joining.add_argument("folder", type=Path)
    joining.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    if args.command == "pack":
        for path in pack(args.runs, args.logs, args.out):
            print(f"{path.stat().st_size / 2**20:8.2f} MiB  {path.name}")
    else:
        print("\n".join(join(args.folder, args.to)))


if __name__ == "__main__":
    main()
