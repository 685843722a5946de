"""The command line `hrm-gym COMMAND`. Each command is one module, loaded when it is called."""

from __future__ import annotations

import errno
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence

from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.outside import shown

COMMANDS = {
    "train": "train an agent on an environment",
    "play": "watch an agent think, in a window, in a recording or as text",
    "evaluate": "grade an agent on held-out puzzles or on your own file",
    "solve": "solve a puzzle, or a file of puzzles",
    "halting": "compare fixed and learned rules for when to stop thinking",
    "analyze": "look inside an agent: dimensions, convergence, failures, interventions",
    "export": "write an agent as one small file with a card, or as an ONNX graph",
    "convert": "make an agent from a checkpoint of the HRM or TRM repository",
    "upload": "send a finished run to the Hugging Face hub",
    "download": "fetch an agent from the Hugging Face hub",
    "plot": "draw the learning curves of runs",
    "compare": "train several agents with the same budget and compare them",
    "generate": "write new puzzles to a file",
    "envs": "list the environments",
    "agents": "list the architectures, presets and shipped agents",
    "completion": "print a script that completes commands and options in a shell",
}

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""Errors of an output that is open."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 success, 1 not all solved, 2 bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal can show our characters
    try:
        status = _run(arguments)
        print(end="", flush=True)  # short outputs are written only now
        return status
    except HrmGymError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has closed the pipe (`| head`)
        _drop_output()
        return 0
    except Exception as error:
        line = shown(error)
        if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
            _drop_output()
            line = f"cannot write ({error.strerror}): make room, or send the output to another place"
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 2


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: hrm-gym COMMAND [options]     (hrm-gym COMMAND --help shows the options; hrm-gym --version)\n")
        for name, what in COMMANDS.items():
            print(f"  {name:10} {what}")
        print("\nEvery command takes --agent module:NAME and --halting module:NAME for code of your own.")
        return 0
    if arguments[0] in ("-V", "--version"):
        import hrm_gym

        print(f"hrm-gym {hrm_gym.__version__}")
        return 0
    _show_notes()
    if arguments[0] not in COMMANDS:
        raise unknown("command", arguments[0], COMMANDS)
    return int(importlib.import_module(f"hrm_gym.cli.{arguments[0]}").run(arguments[1:]))


def _drop_output() -> None:
    """Drop what is left to write, or Python would try again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_notes() -> None:
    """Let the package say on standard error what takes time; as a library it stays silent."""
    logging.getLogger("hrm_gym").setLevel(logging.INFO)
    if logging.lastResort is not None:
        logging.lastResort.setLevel(logging.INFO)
