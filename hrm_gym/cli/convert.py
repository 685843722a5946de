"""`hrm-gym convert`: turn a checkpoint of the HRM or TRM repository into an agent of this package."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hrm_gym.cli.parse import parse, positional
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new
from hrm_gym.options import Options, number


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    """Convert a checkpoint of the HRM or TRM repository. Only tensors are read from it; no code is executed."""

    out: str
    """File for the converted agent, FILE.safetensors."""
    file: str = positional("CHECKPOINT")
    """The file that torch.save wrote, or its folder. The repository's all_config.yaml is expected beside it."""
    env: str = ""
    """Environment id; default: SudokuExtreme-v0 or MazeHard-v0, chosen by the number of tokens."""
    config: str = ""
    """Path of all_config.yaml if it is not beside the checkpoint."""
    h_cycles: int = number(0, least=0)
    """Steps of H per segment (`H_cycles`), if there is no all_config.yaml."""
    l_cycles: int = number(0, least=0)
    """Steps of L per step of H (`L_cycles`), if there is no all_config.yaml."""
    num_heads: int = number(0, least=0)
    """Number of attention heads, if there is no all_config.yaml."""
    puzzle: int = number(0, least=0)
    """Index of the puzzle embedding to use, if the checkpoint has several."""
    overwrite: bool = False
    """Replace an existing file."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Arguments, argv, "convert")
    out = Path(args.out)
    if out.suffix != ".safetensors":
        raise HrmGymError(f"--out {args.out!r}: the name must end in .safetensors")
    check_new(out, args.overwrite)
    # Imported late: torch takes seconds, and the checks above do not need it.
    from hrm_gym.agents.saved import checkpoint as checkpoints
    from hrm_gym.agents.saved import reference

    given = {"H_cycles": args.h_cycles, "L_cycles": args.l_cycles, "num_heads": args.num_heads}
    read = reference.read(Path(args.file), Path(args.config) if args.config else None, **given)
    saved = reference.convert(read, args.env, args.puzzle, args.file)
    checkpoints.save(out, saved)
    print(f"wrote {out}: {reference.described(saved)}")
    print(f"measure it: hrm-gym evaluate --checkpoint {out}")
    return 0
