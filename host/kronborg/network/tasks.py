"""How the work of a process begins and ends."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def hang_up_waits() -> Iterator[Callable[[], bool]]:
    """See that SIGHUP does not end a process that cannot follow it yet; yields whether it came meanwhile.

    Not by blocking it: threads that libraries have begun before would take it.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(number: int, frame: object) -> None:
        came.append(number)

    before = signal.signal(signal.SIGHUP, note)
    try:
        yield lambda: bool(came)
    finally:
        if signal.getsignal(signal.SIGHUP) is note:
            signal.signal(signal.SIGHUP, before)


async def cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end; what they raise is theirs."""
    left = set(tasks)
    while left:
        # More than once: until Python 3.12 `wait_for` loses a cancellation that comes together with its result.
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)
