"""Command lines from dataclasses: fields become options, their docstrings the help, and errors are one line.

argparse splits the command line; `values` converts the words by the types of the fields.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import itertools
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar, get_type_hints

import docstring_parser

from hrm_gym.cli import values
from hrm_gym.errors import HrmGymError, nearest
from hrm_gym.options import check_options

T = TypeVar("T")
Choices = Mapping[str, Sequence[str]]
"""Allowed values of options by name, if their type does not list them."""

_OWN_CODE = ("--agent", "--halting")
"""Options that import the user's agent or halting rule."""
_BOARD = re.compile(r"-[\d.-]+$|(?!--?[a-z][a-z\d]*([-_.][a-z\d]+)*(=|$)).{16}", re.IGNORECASE | re.DOTALL)
"""A word that begins with a hyphen for an empty cell: digits, dots and hyphens, or 16 characters unlike an option."""


def positional(metavar: str) -> Any:
    """Declare a dataclass field as a positional argument."""
    return dataclasses.field(metadata={"metavar": metavar})


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Breaks no word at a hyphen, because environment ids contain hyphens."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrapped(text, width)


class Option(NamedTuple):
    """One option of a command."""

    flag: str
    """For example `--max-steps`, or the metavar of a positional argument."""
    path: tuple[str, ...]
    """Attribute names from the outer dataclass to the field."""
    kind: Any
    default: Any
    """`dataclasses.MISSING` if the option is required."""
    text: str
    group: str
    """Description of the nested dataclass that has the field; empty for the command's own fields."""


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises errors instead of exiting, accepts no abbreviations and takes boards as values."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(add_help=False, allow_abbrev=False, **kwargs)
        self._negative_number_matcher = _BOARD  # words with a hyphen that are no options

    def error(self, message: str) -> NoReturn:
        """Raise the error."""
        words = message.replace("the following arguments are required", "missing")
        raise HrmGymError(words.replace("argument ", "", 1).replace("/--", " or --"))


def parse(
    form: type[T],
    argv: Sequence[str],
    command: str,
    description: str | None = None,
    *,
    default: T | None = None,
    common: Sequence[str] = (),
    choices: Choices | None = None,
) -> T:
    """Build the dataclass `form` from `argv`; `--help` prints the options and exits.

    A checkpoint only names its agent; loading it never imports code. So every command accepts `--agent module:NAME` and
    `--halting module:NAME`, whose import registers the name, even if `form` has no such option or one of a few choices.

    Args:
        form: the class. Nested dataclasses become groups of options.
        argv: the words after the command.
        command: name of the command.
        description: text of the help; by default the docstring of the class.
        default: an instance whose values are the defaults; None: the class's own defaults.
        common: options that `--help` shows, while `--help-all` shows all. If empty, `--help` shows all.
        choices: allowed values to list in the help.

    Raises:
        HrmGymError: if an option is unknown or missing, a value is not allowed, or own code cannot be imported.
    """
    begin: Any = form if default is None else default
    options = list(options_of(begin))
    words = argv[: argv.index("--")] if "--" in argv else argv
    if asked := {"-h", "--help", "--help-all"} & set(words):
        short = bool(common) and "--help-all" not in asked
        print(
            _help(options, command, description or inspect.getdoc(form) or "", common if short else (), choices or {}),
            flush=True,
        )
        raise SystemExit(0)
    argv = _import_own_code(argv, [option.flag for option in options if option.kind is str])
    try:
        built: T = _parse(begin, argv, options)
        return built
    except HrmGymError as error:
        raise HrmGymError(f"{error}; see hrm-gym {command} {'--help-all' if common else '--help'}") from error


def _import_own_code(argv: Sequence[str], keep: Sequence[str]) -> list[str]:
    """Import the modules that `argv` names as module:NAME; return it without those options, unless `keep` has them.

    Raises:
        HrmGymError: if the module does not exist or its import fails, with file and line.
    """
    left: list[str] = []
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        parts = [word]
        if option in _OWN_CODE:
            if not equals:
                parts += itertools.islice(words, 1)
                value = parts[-1]
            if ":" in value:
                from hrm_gym.agents.registry import import_named  # needs torch

                import_named(value)
                if option not in keep:
                    continue
        left += parts
    return left


def options_of(form: Any) -> Iterator[Option]:
    """Yield the options of a dataclass, its own fields before those of nested dataclasses."""
    yield from sorted(_fields(form, (), ""), key=lambda option: len(option.path) > 1)


def _fields(form: Any, path: tuple[str, ...], group: str) -> Iterator[Option]:
    cls = form if isinstance(form, type) else type(form)
    kinds, texts = get_type_hints(cls), _docstrings(cls)
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        kind, text, here = kinds[field.name], texts.get(field.name, ""), (*path, field.name)
        default = _default(field) if cls is form else getattr(form, field.name)
        if dataclasses.is_dataclass(default):
            yield from _fields(default, here, group or text.rstrip("."))
        elif values.readable(kind):  # other types can be set only from Python
            name = ".".join(here[1:] or here).replace("_", "-")  # option names omit the group's name
            yield Option(field.metadata.get("metavar", f"--{name}"), here, kind, default, text, group)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _docstrings(cls: type) -> dict[str, str]:
    """Return the docstring of each field, including inherited fields."""
    found = {}
    for base in reversed(cls.__mro__[:-1]):
        for part in docstring_parser.parse_from_object(base).params:
            found[part.arg_name] = " ".join((part.description or "").split())
    return found


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option], choices: Choices) -> None:
    """Add the options to an argparse parser, which stores their unconverted words under the options' paths."""
    groups: dict[str, Any] = {}
    for option in options:
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group or "options")
        settings = {"help": _explained(option, choices), **values.arguments(option.kind)}
        name = ".".join(option.path)
        if not option.flag.startswith("-"):
            groups[option.group].add_argument(name, **settings | {"metavar": option.flag})
        else:
            required = option.default is dataclasses.MISSING
            groups[option.group].add_argument(
                option.flag, dest=name, required=required, default=argparse.SUPPRESS, **settings
            )


def _explained(option: Option, choices: Choices) -> str:
    text = option.text
    if known := choices.get(option.path[-1]):
        text += f" One of: {', '.join(known)}."
    if usual := values.written(option.default):
        text += f" (default: {usual})"
    return text.replace("%", "%%")


def _help(options: Sequence[Option], command: str, description: str, common: Sequence[str], choices: Choices) -> str:
    width = max(shutil.get_terminal_size().columns, 20)
    named = {option.path[-1]: option for option in options}
    shown = [named[name]._replace(group="") for name in common if name in named] if common else options
    places = "".join(f" {option.flag}" for option in options if not option.flag.startswith("-"))
    more = f"hrm-gym {command} --help-all shows all {len(options)} options." if common else ""
    parser = Parser(
        usage="\n".join(_wrapped(f"hrm-gym {command}{places} [options]", max(width - len("usage: "), 20))),
        description="\n".join("\n".join(_wrapped(line, width)) for line in description.splitlines()),
        epilog="\n".join(_wrapped(more, width)),
        formatter_class=_Formatter,
    )
    add_options(parser, shown, choices)
    return parser.format_help()


def _parse(form: Any, argv: Sequence[str], options: Sequence[Option]) -> Any:
    built, left = _build_from(form, _spelled(argv, list(_parser(options)._option_string_actions)), options)
    if left:
        raise HrmGymError(f"unexpected argument {left[0]!r}")
    return built


def _parser(options: Sequence[Option]) -> Parser:
    """A parser of these options; those that can be turned off also have `--no-NAME`."""
    parser = Parser()
    add_options(parser, options, {})
    return parser


def _build_from(form: Any, words: Sequence[str], options: Sequence[Option]) -> tuple[Any, list[str]]:
    """Build the dataclass from its options among the words, and return it with the remaining words."""
    found, left = _parser(options).parse_known_args(list(words))
    tree: dict[str, Any] = {}
    for option in options:
        if (name := ".".join(option.path)) in found:
            place = tree
            for part in option.path[:-1]:
                place = place.setdefault(part, {})
            place[option.path[-1]] = values.read(option.flag, getattr(found, name), option.kind)
    try:
        built = _build(form, tree)
        check_options(built)
    except HrmGymError as error:  # name the option instead of the field
        name, verb, rest = str(error).partition(" is ")
        flags = [option.flag for option in options if option.path[-1] == name]
        raise HrmGymError(f"{flags[0]}{verb}{rest}" if flags else str(error)) from error
    return built, left


def check_values(form: Any, argv: Sequence[str], command: str) -> None:
    """Refuse bad values of the options of `form`; other options, and all of them if `argv` asks for help, are ignored.

    Args:
        form: a dataclass with defaults.
        argv: as for `parse`.
        command: name of the command.

    Raises:
        HrmGymError: if a value is not allowed.
    """
    if {"-h", "--help", "--help-all"} & set(argv):
        return
    options = list(options_of(form))
    flags = set(_parser(options)._option_string_actions)
    words = [word.replace("_", "-") if word.replace("_", "-") in flags else word for word in argv]
    try:
        _build_from(form, words, options)
    except HrmGymError as error:
        raise HrmGymError(f"{error}; see hrm-gym {command} --help-all") from error


def _spelled(argv: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Replace underscores in options by hyphens: `--num_envs` becomes `--num-envs`."""
    words = list(argv)
    for i, word in enumerate(words):
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        if not flag.startswith("--") or " " in flag or _BOARD.match(word):
            continue
        flag = flag.replace("_", "-")
        if flag not in flags:
            near = nearest(flag, flags)
            raise HrmGymError(f"unknown option {flag}" + (f": did you mean {near}?" if near else ""))
        words[i] = f"{flag}{equals}{value}"
    return words


def _build(form: Any, given: Mapping[str, Any]) -> Any:
    """Build the dataclass and its nested dataclasses from the given values."""
    parts = dict(given)
    defaults = {field.name: field for field in dataclasses.fields(form)}
    for name, value in given.items():
        if isinstance(value, dict):
            default = _default(defaults[name]) if isinstance(form, type) else getattr(form, name)
            parts[name] = _build(default, value)
    return form(**parts) if isinstance(form, type) else dataclasses.replace(form, **parts)
