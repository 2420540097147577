"""Progress of long work: a function that is told, or a bar that moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol


class ProgressBar(Protocol):
    """A bar as `tqdm.tqdm()` makes it."""

    #: How much there is to do, and how much of it is done.
    total: Any
    n: Any

    def update(self, n: Any = 1, /) -> object:
        """Moves the bar by so much."""


#: A function of done and total, or a bar of tqdm's.
Progress = Callable[[int, int], object] | ProgressBar


def teller(progress: Progress | None) -> Callable[[int, int], object] | None:
    """The function to call; for a bar, one that moves it, from whichever thread."""
    update = getattr(progress, "update", None)
    if progress is None or not callable(update):
        return progress  # type: ignore[return-value]
    bar: Any = progress
    lock = threading.Lock()

    def move(done: int, total: int) -> None:
        with lock:
            bar.total = total
            # Threads may be heard in another order than they spoke.
            if done > bar.n:
                update(done - bar.n)

    return move
