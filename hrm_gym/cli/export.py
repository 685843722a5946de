"""`hrm-gym export`: write an agent's averaged weights to one small file with a card, or as an ONNX graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.card import card
from hrm_gym.agents.saved.onnx_export import export_onnx
from hrm_gym.cli.parse import parse, positional
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, is_folder, replacing


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Write an agent to one file: the averaged weights of a finished run with a card, or an ONNX graph."""

    run: str = positional("RUN")
    """The run's folder. With `--onnx` also `pretrained:ID` or a file."""
    out: str = ""
    """File for the weights, FILE.safetensors. The card is written to FILE.md."""
    onnx: str = ""
    """File for the graph of one segment, FILE.onnx, for programs without torch."""
    env: str = ""
    """With `--onnx`: the environment whose board the graph reads; default: that of the training."""
    overwrite: bool = False
    """Replace existing files."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Arguments, argv, "export")
    if not args.out and not args.onnx:
        raise HrmGymError("missing --out or --onnx: give --out FILE.safetensors for weights, or --onnx FILE.onnx")
    if args.out:
        _weights(args)
    if args.onnx:
        path = export_onnx(args.run, args.onnx, env=args.env, overwrite=args.overwrite)
        print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)")
    return 0


def _weights(args: Arguments) -> None:
    folder, out = Path(args.run), Path(args.out)
    if out.suffix != ".safetensors":
        raise HrmGymError(f"--out {args.out!r}: the name must end in .safetensors")
    if not is_folder(folder):
        raise HrmGymError(f"no run at {args.run!r}: give the folder of a finished run")
    check_new(out.with_suffix(".md"), args.overwrite)
    saved, result = checkpoints.export(folder, out, args.overwrite)
    try:
        text = card(saved, result)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise HrmGymError(
            f"{folder / 'result.json'} is not the result of a run ({type(error).__name__}: {error}): the weights are "
            "written, the card is not"
        ) from None
    with replacing(out.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB) and {out.with_suffix('.md')}")
