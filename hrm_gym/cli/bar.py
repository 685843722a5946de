"""A progress bar for slow commands, shown only on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Tell(Protocol):
    """A callback that reports progress."""

    def __call__(self, done: int, of: int, doing: str = ...) -> None:
        """Report that `done` of `of` steps are finished, and optionally a new title."""


@contextlib.contextmanager
def bar(title: str, console: Console | None = None) -> Iterator[Tell]:
    """Show a progress bar while the context is open, and yield the function that updates it.

    The bar is written to standard error and erased at the end, so output can be piped.

    Args:
        title: describes the work.
        console: where to draw; by default standard error, if it is a terminal.
    """
    console = console or Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    progress = Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # lines printed to a terminal appear above the bar
    )
    with progress:
        task = progress.add_task(title, total=None)

        def tell(done: int, of: int, doing: str = title) -> None:
            progress.update(task, completed=done, total=of, description=doing)

        yield tell
