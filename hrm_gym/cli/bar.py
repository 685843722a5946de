"""A progress bar on a terminal, for whatever takes longer than a moment; nothing at all elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Tell(Protocol):
    """Told how much is done of how much, and what goes on, if that changes."""

    def __call__(self, done: int, of: int, doing: str = ...) -> None:
        """Show it."""


@contextlib.contextmanager
def bar(title: str, console: Console | None = None) -> Iterator[Tell]:
    """Show that something goes on, and, where the function that it gives is called, how far it is.

    The bar goes to standard error and leaves no trace, so output can be piped.

    Args:
        title: what goes on.
        console: where; by default standard error, and only if that is a terminal.
    """
    console = console or Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    progress = Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # printed lines go above the bar, unless they go into a file
    )
    with progress:
        task = progress.add_task(title, total=None)

        def tell(done: int, of: int, doing: str = title) -> None:
            progress.update(task, completed=done, total=of, description=doing)

        yield tell
