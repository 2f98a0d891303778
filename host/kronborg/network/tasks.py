"""How tasks are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


async def cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end; what they raise is theirs."""
    left = set(tasks)
    while left:
        # More than once: until Python 3.12 `wait_for` loses a cancellation that comes together with its result.
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)
