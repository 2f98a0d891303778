"""Decoding spread over worker processes, on this machine or on several: frames in, corrected frames out.

In-process is the default and needs nothing; a farm runs on Ray (extra `farm`). Decoding has no state, so a frame whose
worker dies, or whose machine does, is simply decoded again: none is lost, and none comes out twice, since whoever hands
a frame in waits for that frame's answer.

Log-likelihood ratios and corrected bits are secret. They stay in shared memory here (nothing is spilled to disk), but
between machines they go over Ray's own connections: those belong to Alice's trusted site (docs/security.md).
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, KronborgError
from .codes import Code, code_named
from .decoder import Decoded, Decoder

ATTEMPTS = 4
"""Workers that a frame may cost before it is given up: one that kills every worker would go round for ever."""

FRAME_BYTES = 1 << 26
"""Of shared memory for each frame that is under way; the longest takes a third of it."""

MOST_WORKERS = 1024


class FarmError(KronborgError):
    """The farm cannot decode: it has gone, or a frame took too many workers with it."""


class Frame(NamedTuple):
    """What :meth:`Decoder.decode` takes, and the code to decode with."""

    code: Code
    llr: NDArray[np.float32]
    syndrome: NDArray[np.uint8]


Decode = Callable[[Code, NDArray[np.float32], NDArray[np.uint8]], Decoded]
"""Decodes one frame, somewhere. Threads may call it side by side."""


class Place(Protocol):
    """Where frames are decoded: this process or a farm.

    Attributes:
        side_by_side: threads that should hand frames in, so that nothing waits for the next frame.
    """

    side_by_side: int

    def decode(self, code: Code, llr: NDArray[np.float32], syndrome: NDArray[np.uint8]) -> Decoded:
        """Decode one frame; threads may call it side by side."""
        ...


def in_process(code: Code, llr: NDArray[np.float32], syndrome: NDArray[np.uint8]) -> Decoded:
    """Decode in the calling thread."""
    return Decoder(code).decode(llr, syndrome)


class Here:
    """This process: each thread decodes the frame that it hands in (:class:`Place`)."""

    side_by_side = 1
    decode = staticmethod(in_process)


@contextmanager
def opened(where: str | None) -> Iterator[Place]:
    """The farm at `where` (see :class:`Farm`), or this process for None."""
    if where is None:
        yield Here()
        return
    with Farm(where) as farm:
        yield farm


def correct(frames: Iterable[Frame], decode: Decode = in_process, side_by_side: int = 2) -> Iterator[Decoded]:
    """Decode a stream of frames, in its order.

    Args:
        frames: no more than twice `side_by_side` are taken before the first of them has come out.
        decode: :func:`in_process`, or :meth:`Farm.decode`.
        side_by_side: threads that hand frames to `decode`, at least 1.
    """
    with ThreadPoolExecutor(side_by_side) as threads:
        pending: deque[Future[Decoded]] = deque()
        try:
            for frame in frames:
                pending.append(threads.submit(decode, *frame))
                if len(pending) == 2 * side_by_side:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # whoever reads may stop before the end
            for future in pending:
                future.cancel()


def _decode(name: str, llr: NDArray[np.float32], syndrome: NDArray[np.uint8]) -> tuple[Any, ...]:
    """At a worker: the code by its name, the syndrome packed; the bits go back packed, with who did it."""
    code = code_named(name)
    decoded = Decoder(code).decode(llr, np.unpackbits(syndrome, count=code.checks))
    return np.packbits(decoded.bits), decoded.converged, decoded.iterations, (socket.gethostname(), os.getpid())


class Farm:
    """Workers that decode, each on a processor core of its own. Use as a context manager; threads may share it.

    More frames than twice the workers do not fit, one under way and one that waits for each: then :meth:`decode` waits.

    Args:
        where: how many workers to start on this machine, or the address of a Ray cluster that runs (HOST:PORT, or
            "auto" for the one that this machine belongs to). Its machines need the same release of Kronborg.

    Attributes:
        workers: processor cores that decode.
        side_by_side: twice that.
        answers: frames that each worker (host name, process number) has decoded.
        repeated: frames that were sent again because their worker had died.

    Raises:
        InputError: Ray is not installed, no such number of workers, or no cluster at that address.
    """

    def __init__(self, where: str) -> None:
        if where.isdecimal() and not 1 <= int(where) <= MOST_WORKERS:
            raise InputError(f"a farm of {where} workers cannot be: give 1 to {MOST_WORKERS}, or a cluster's address")
        if not (where.isdecimal() or where == "auto" or where.rpartition(":")[2].isdecimal()):
            raise InputError(f"{where!r} is no farm: give a number of workers, HOST:PORT of a Ray cluster, or auto")
        # Read when Ray is imported: nothing is told to its makers. It listens on all interfaces, so who connects must
        # know a token: one of this process, that is on no disk, or the cluster's.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if where.isdecimal():
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        try:
            import ray
        except ModuleNotFoundError:
            raise InputError("a farm needs the extra 'farm': pip install 'kronborg[farm]'") from None
        self._ray: Any = ray
        self._folder = tempfile.TemporaryDirectory(prefix="kronborg-")
        quiet = {"log_to_driver": False, "configure_logging": False}
        try:
            if where.isdecimal():
                ray.init(
                    num_cpus=int(where),
                    object_store_memory=2 * int(where) * FRAME_BYTES,
                    include_dashboard=False,
                    _temp_dir=self._folder.name,
                    _system_config={"automatic_object_spilling_enabled": False},  # secrets stay in memory
                    **quiet,
                )
            else:
                ray.init(address=where, **quiet)
            self.workers = int(ray.cluster_resources().get("CPU", 0))
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            self._folder.cleanup()
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"cannot open the farm {where!r}: {reason}") from None
        if not self.workers:
            self.close()
            raise InputError(f"the cluster {where!r} has no processor cores")
        # Sent again by this class, not by Ray: so it is counted, and bounded.
        self._task = ray.remote(num_cpus=1, max_retries=0)(_decode)
        self.side_by_side = 2 * self.workers
        self._room = threading.BoundedSemaphore(self.side_by_side)
        self._counting = threading.Lock()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.repeated = 0

    def __enter__(self) -> Farm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers that this farm has started, or leave the cluster."""
        self._ray.shutdown()
        self._folder.cleanup()

    def decode(self, code: Code, llr: NDArray[np.float32], syndrome: NDArray[np.uint8]) -> Decoded:
        """:meth:`Decoder.decode` by one of the workers, with a stored code.

        Raises:
            InputError: what the decoder does not take.
            FarmError: `ATTEMPTS` workers died over this frame, or the farm has gone.
        """
        errors = self._ray.exceptions
        died = (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError, errors.ObjectLostError)
        if syndrome.dtype != np.uint8 or syndrome.shape != (code.checks,):
            raise InputError(
                f"{code.checks} syndrome bits of type uint8 are needed, not {syndrome.dtype} of shape {syndrome.shape}"
            )
        packed = np.packbits(syndrome)
        with self._room:
            for _ in range(ATTEMPTS):
                try:
                    bits, converged, iterations, worker = self._ray.get(self._task.remote(code.name, llr, packed))
                except errors.RayTaskError as error:
                    cause = error.cause
                    raise (
                        cause
                        if isinstance(cause, KronborgError | MemoryError)
                        else FarmError(f"a worker of the farm failed: {type(cause).__name__}")
                    ) from None
                except died:
                    with self._counting:
                        self.repeated += 1
                    continue
                except errors.RayError as error:
                    raise FarmError(f"the farm cannot decode: {type(error).__name__}") from None
                with self._counting:
                    self.answers[worker] += 1
                return Decoded(np.unpackbits(bits, count=code.length), converged, iterations)
        raise FarmError(f"{ATTEMPTS} workers of the farm died, one after the other, over the same frame")
