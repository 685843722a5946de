"""The command line: `hrm-gym COMMAND`, one module a command, loaded only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from hrm_gym.cli.own_code import import_own_code
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.outside import shown

COMMANDS = {
    "train": "train an agent on an environment",
    "play": "watch an agent think, in a window, in a recording or as text",
    "evaluate": "grade an agent on held-out puzzles or on a file of them",
    "solve": "solve a puzzle, or a file of puzzles",
    "halting": "compare rules for when to stop thinking, learned ones among them",
    "analyze": "look inside an agent: dimensions, convergence, failures, interventions",
    "export": "write a run's averaged weights as one small file with a card",
    "convert": "make an agent from a checkpoint of the HRM or TRM repository",
    "upload": "send a finished run to the Hugging Face hub",
    "download": "fetch an agent from the Hugging Face hub",
    "plot": "draw the learning curves of runs",
    "compare": "train agents under one budget and compare what they reach",
    "generate": "write new puzzles to a file",
    "envs": "list the environments",
    "agents": "list the architectures, presets and shipped agents",
    "completion": "print a script that completes commands and options in a shell",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status (0 fine, 1 not all solved, 2 bad input)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: hrm-gym COMMAND [options]     (hrm-gym COMMAND --help tells the options; hrm-gym --version)\n")
        for name, what in COMMANDS.items():
            print(f"  {name:10} {what}")
        print("\nEvery command takes --agent module:NAME and --halting module:NAME for code of your own.")
        return 0
    if arguments[0] in ("-V", "--version"):
        import hrm_gym

        print(f"hrm-gym {hrm_gym.__version__}")
        return 0
    try:
        if arguments[0] not in COMMANDS:
            raise unknown("command", arguments[0], COMMANDS)
        module = importlib.import_module(f"hrm_gym.cli.{arguments[0]}")
        rest = arguments[1:] if arguments[0] == "train" else import_own_code(arguments[1:])
        return int(module.run(rest))
    except HrmGymError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if (line := shown(error)) is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
