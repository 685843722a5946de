"""The command line as a dataclass, and every refusal as one line.

tyro tells what it refuses in a box of several lines and ends the process; here the same words come as an `HrmGymError`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

import tyro

from hrm_gym.errors import HrmGymError

T = TypeVar("T")


def parse(form: type[T], argv: Sequence[str], command: str, description: str | None = None) -> T:
    """The arguments that `argv` gives to the dataclass `form`; `--help` prints them and ends the process.

    Raises:
        HrmGymError: on an option that is unknown or missing, or a value that is not allowed.
    """
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(form, args=list(argv), prog=f"hrm-gym {command}", description=description)
    except SystemExit as stop:
        if not stop.code:
            raise
        text = _own_words(stop) or _unboxed(told.getvalue())
    raise HrmGymError(f"{text}; see hrm-gym {command} --help")


class Parser(argparse.ArgumentParser):
    """One of argparse that raises what it refuses."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise HrmGymError(message.replace("argument ", "", 1).replace("/--", " or --"))


def _own_words(stop: BaseException) -> str:
    """What a dataclass said of a value of its own, with the name as an option; empty where none did."""
    cause: Any = stop
    while cause is not None:
        if isinstance(cause, HrmGymError):
            name, verb, rest = str(cause).partition(" is ")
            return f"--{name.replace('_', '-')}{verb}{rest}" if name.isidentifier() else str(cause)
        cause = cause.__cause__ or cause.__context__
    return ""


def _unboxed(text: str) -> str:
    """The words of tyro's box: those under its title, up to the next rule, and the options that it proposes."""
    lines = [re.sub(r"[│╭╮╰╯]", " ", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    words: list[str] = []
    for line in lines[1:]:
        if re.fullmatch(r"[-─]{4,}", line):
            if words:
                break
            continue
        words.append(line)
    if words and words[0].startswith("Missing from"):  # the explanations that follow are those of `--help`
        names = re.findall(r"(?:^|(?<= ))(?:--[a-z][\w-]* )?[A-Z]{2,}(?= |$)", " ".join(words))
        return f"missing: {', '.join(names)}"
    said = " ".join(words).rstrip(".") or "cannot read the arguments"
    near = [option for option in re.findall(r"^--[a-z][\w-]*", "\n".join(lines), re.MULTILINE) if option not in said]
    return f"{said}: did you mean {near[0]}?" if near and said.startswith("Unrecognized") else said
