"""User code: how its modules are imported, and how its errors are shown with file and line.

Users name their own puzzles, agents and halting rules as "module:Class". If something fails inside such a module, the
error shows the user's line and the reason, and none of our code.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from hrm_gym.errors import HrmGymError, first_line, unknown

_OURS = Path(__file__).parent
_PYTHON = Path(sysconfig.get_path("stdlib"))
_named: set[str] = set()
"""Packages named by the user; their lines are shown even if they are installed among the libraries."""


def import_module(name: str, whole: str) -> ModuleType:
    """Import a module that the user named; modules in the current folder are found, as for a script.

    Args:
        name: the module's name.
        whole: the user's input, for the error.

    Raises:
        HrmGymError: if there is no such module, or its import fails; then with file and line.
    """
    package = name.partition(".")[0]
    if package != _OURS.name:
        _named.add(package)
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if (line := shown(error)) is not None:
            raise HrmGymError(line) from error
        absent = isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}.")
        if not absent and all(name.split(".")):  # an empty part between two dots is invalid
            raise
        file = f" (leave out .py: {name.removesuffix('.py')})" if name.endswith(".py") else ""
        raise HrmGymError(
            f"no module {name!r} for {whole!r}{file}: run the command in its folder, or put that on PYTHONPATH"
        ) from None


def load_class(entry: str, kind: str, base: type) -> Any:
    """Import the class named "module:Class".

    Args:
        entry: its import path.
        kind: what it is, for the error.
        base: its required base class.

    Raises:
        HrmGymError: if there is no such class, or it lacks something that a subclass of `base` must have.
    """
    module_name, _, name = entry.partition(":")
    module = import_module(module_name, entry)
    cls: Any = getattr(module, name, None)
    if cls is None:
        raise unknown(f"{kind} in {module_name}", name, [n for n in dir(module) if not n.startswith("_")])
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise HrmGymError(
            f"{entry!r} is not a subclass of {base.__name__}: derive the class from {base.__module__}.{base.__name__}"
        )
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise HrmGymError(f"{where(cls)}: {name} cannot be built: it lacks {' and '.join(missing)}")
    return cls


def is_outside(thing: Any) -> bool:
    """Whether a class or a function is defined outside the package."""
    return thing.__module__.partition(".")[0] != _OURS.name


def where(thing: Any) -> str:
    """FILE:LINE of the definition of a class or a function."""
    thing = inspect.unwrap(thing)
    try:
        return _place(inspect.getsourcefile(thing) or "", inspect.getsourcelines(thing)[1])
    except (OSError, TypeError):  # defined in a shell, or its decorator hides the source
        return f"{thing.__module__}.{thing.__qualname__}"


def shown(error: BaseException) -> str | None:
    """An error in one line, with file and line of the innermost user code in its traceback.

    None if no user code is involved.
    """
    cause: BaseException | None = error
    while cause is not None:
        if (place := _place_of(cause)) is not None:
            kind = "" if isinstance(cause, HrmGymError) else f"{type(cause).__name__}: "
            message = (cause.msg if isinstance(cause, SyntaxError) else "") or (str(cause) and first_line(cause))
            return f"{place}: {kind}{message}".removesuffix(": ")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def defined(cls: type, method: str) -> str:
    """FILE:LINE of a method of a user's class, or of the class if the method is inherited from the package."""
    function = getattr(cls, method)
    return where(function if is_outside(function) else cls)


@contextlib.contextmanager
def calling(cls: type, method: str = "__init__") -> Iterator[None]:
    """Context for a call of a user's class or method: errors are shown with file and line.

    If no line inside raised the error, for example because the arguments do not match, the definition is shown.

    Raises:
        HrmGymError: replaces any other error, which becomes its cause.
    """
    try:
        yield
    except HrmGymError:
        raise
    except Exception as error:
        if not is_outside(cls):
            raise
        message = f"{cls.__name__}.{method}: {type(error).__name__}: {first_line(error)}"
        raise HrmGymError(shown(error) or f"{defined(cls, method)}: {message}") from error


def _place_of(error: BaseException) -> str | None:
    if isinstance(error, SyntaxError) and error.lineno and os.path.isfile(error.filename or ""):
        return _place(str(error.filename), error.lineno)
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_outside_file(frame.f_code.co_filename, frame.f_globals.get("__name__", ""))
    ]
    return _place(*lines[-1]) if lines else None


@functools.cache
def _is_outside_file(filename: str, module: str) -> bool:
    path = Path(filename)
    if not path.is_file() or path.is_relative_to(_OURS):
        return False
    library = path.is_relative_to(_PYTHON) or {"site-packages", "dist-packages"} & set(path.parts)
    return not library or module.partition(".")[0] in _named


def _place(filename: str, line: int) -> str:
    path = Path(filename)
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"
