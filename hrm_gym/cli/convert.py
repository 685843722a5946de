"""`hrm-gym convert`: a checkpoint of the HRM or TRM repository as an agent of this package."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved import reference
from hrm_gym.cli.parse import parse, positional
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new
from hrm_gym.options import Options, number


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    """Convert a checkpoint of the HRM or TRM repository, and nothing but its tensors is read."""

    out: str
    """The file of the agent, FILE.safetensors."""
    file: str = positional("CHECKPOINT")
    """What torch.save wrote there, or a folder with it; their all_config.yaml is looked for beside it."""
    env: str = ""
    """Environment id; empty: the one with as many tokens, SudokuExtreme-v0 or MazeHard-v0."""
    config: str = ""
    """Their all_config.yaml, where it stands elsewhere."""
    h_cycles: int = number(0, least=0)
    """Where there is no YAML: H_cycles."""
    l_cycles: int = number(0, least=0)
    """Where there is no YAML: L_cycles."""
    num_heads: int = number(0, least=0)
    """Where there is no YAML: heads of attention."""
    puzzle: int = number(0, least=0)
    """Which of several puzzle embeddings stands before the board."""
    overwrite: bool = False
    """Replace a file that is already there."""


def run(argv: Sequence[str]) -> int:
    """Convert as the arguments say."""
    args = parse(Arguments, argv, "convert")
    out = Path(args.out)
    if out.suffix != ".safetensors":
        raise HrmGymError(f"--out {args.out!r}: the name must end in .safetensors")
    check_new(out, args.overwrite)
    given = {"H_cycles": args.h_cycles, "L_cycles": args.l_cycles, "num_heads": args.num_heads}
    read = reference.read(Path(args.file), Path(args.config) if args.config else None, **given)
    saved = reference.convert(read, args.env, args.puzzle, args.file)
    checkpoints.save(out, saved)
    print(f"wrote {out}: {reference.described(saved)}")
    print(f"measure it: hrm-gym evaluate --checkpoint {out}")
    return 0
