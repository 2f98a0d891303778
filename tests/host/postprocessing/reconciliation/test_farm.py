"""A stream of frames through worker processes: each comes out once, in order, whoever is killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from kronborg.errors import InputError
from kronborg.postprocessing.reconciliation import Code, Decoded, Decoder, code_named
from kronborg.postprocessing.reconciliation.farm import ATTEMPTS, Farm, FarmError, Frame, Here, correct, opened

WORKERS = 2
DISTINCT = 3


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    with Farm(str(WORKERS)) as opened:
        yield opened


Made = tuple[Code, list[Frame], list[NDArray[np.uint8]]]


@pytest.fixture(scope="module")
def made(frame: Callable[[Code, float, int], tuple[NDArray[np.uint8], NDArray[np.float32]]]) -> Made:
    code = code_named("met-0.28/700")
    words = [frame(code, 1.1 * code.threshold_snr, seed) for seed in range(DISTINCT)]
    return code, [Frame(code, llr, Decoder(code).syndrome(bits)) for bits, llr in words], [bits for bits, _ in words]


def test_frames_come_out_once_in_order_and_a_killed_worker_loses_none(farm: Farm, made: Made) -> None:
    _, frames, bits = made
    count, taken, most = 18, 0, 0
    killed: set[int] = set()

    def stream() -> Iterator[Frame]:
        nonlocal taken
        for number in range(count):
            taken += 1
            yield frames[number % DISTINCT]

    before, repeated = farm.answers.total(), farm.repeated
    came = 0
    for decoded in correct(stream(), farm.decode, farm.side_by_side):
        most = max(most, taken - came)
        assert decoded.converged
        assert np.array_equal(decoded.bits, bits[came % DISTINCT])
        came += 1
        living = {pid for _, pid in farm.answers} - killed
        if came >= 4 and farm.repeated == repeated and living:
            killed.add(min(living))
            os.kill(min(living), signal.SIGKILL)
    assert came == count
    assert farm.repeated > repeated
    assert farm.answers.total() - before == count
    assert most == 2 * farm.side_by_side == 4 * WORKERS
    assert all(pid != os.getpid() for _, pid in farm.answers)


def test_a_worker_says_what_the_decoder_here_says(farm: Farm, made: Made) -> None:
    code, frames, _ = made
    hopeless = Frame(code, -frames[0].llr, frames[0].syndrome)
    for llr in (frames[0].llr, hopeless.llr):
        there, here = farm.decode(code, llr, frames[0].syndrome), Decoder(code).decode(llr, frames[0].syndrome)
        assert (there.converged, there.iterations) == (here.converged, here.iterations)
        assert np.array_equal(there.bits, here.bits) or not here.converged


def test_no_more_frames_are_sent_than_the_farm_has_room_for(farm: Farm, made: Made, monkeypatch) -> None:
    _, frames, _ = made
    task, lock, under_way, most = farm._task, threading.Lock(), 0, 0
    get = farm._ray.get

    class Counted:
        @staticmethod
        def remote(*arguments: object) -> object:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            return task.remote(*arguments)

    def counted_get(reference: object) -> object:
        nonlocal under_way
        answer = get(reference)
        with lock:
            under_way -= 1
        return answer

    monkeypatch.setattr(farm, "_task", Counted)
    monkeypatch.setattr(farm._ray, "get", counted_get)
    assert len(list(correct(frames * 4, farm.decode, 12))) == 4 * DISTINCT
    assert most == 2 * WORKERS


def test_a_frame_that_takes_every_worker_with_it_is_given_up(farm: Farm, made: Made, monkeypatch) -> None:
    """The farm decodes other frames after it."""
    _, frames, bits = made

    def die(*arguments: object) -> None:
        import os

        os._exit(1)

    die.__module__ = "__main__"  # sent as it is: workers cannot import tests
    with monkeypatch.context() as patch:
        patch.setattr(farm, "_task", farm._ray.remote(num_cpus=1, max_retries=0)(die))
        before = farm.repeated
        with pytest.raises(FarmError, match=f"{ATTEMPTS} workers of the farm died") as caught:
            farm.decode(*frames[0])
        assert farm.repeated - before == ATTEMPTS
        assert "\n" not in str(caught.value)
    assert np.array_equal(farm.decode(*frames[1]).bits, bits[1])


def test_bad_frames_are_refused_as_in_process(farm: Farm, made: Made, small_code: Code) -> None:
    code, frames, _ = made
    llr, syndrome = frames[0].llr, frames[0].syndrome
    for bad, message in (
        (Frame(code, llr[:-1], syndrome), "log-likelihood ratios of type float32 are needed"),
        (Frame(code, np.full_like(llr, np.nan), syndrome), "must be finite"),
        (Frame(code, llr, syndrome[:-1]), "syndrome bits of type uint8 are needed"),
        (Frame(code, llr, syndrome.astype(np.int64)), "syndrome bits of type uint8 are needed"),
        (Frame(small_code, llr, syndrome[: small_code.checks]), "no code is called 'small'"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            farm.decode(*bad)
        assert "\n" not in str(caught.value)
    assert farm.decode(*frames[0]).converged


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("0", "give 1 to 1024"),
        ("5000", "give 1 to 1024"),
        ("-2", "is no farm"),
        ("many", "is no farm"),
        ("host:", "is no farm"),
    ],
)
def test_what_is_no_farm_is_said_in_one_line(where: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Farm(where)


def test_this_process_is_the_default() -> None:
    with opened(None) as place:
        assert isinstance(place, Here)


def test_a_reader_who_stops_leaves_nothing_running_and_what_had_not_begun_undone(monkeypatch) -> None:
    done, go_on, begun = [], threading.Event(), threading.Semaphore(0)

    class Threads(ThreadPoolExecutor):
        def shutdown(self, *arguments: bool, **options: bool) -> None:
            go_on.set()  # what was to be called off is, by now
            super().shutdown(*arguments, **options)

    monkeypatch.setattr("kronborg.postprocessing.reconciliation.farm.ThreadPoolExecutor", Threads)

    def slow(code: object, llr: object, syndrome: object) -> Decoded:
        if llr in (3, 4):  # both threads
            begun.release()
            go_on.wait(60)
        done.append(llr)
        return Decoded(np.zeros(0, np.uint8), True, int(llr))  # type: ignore[call-overload]

    reader = correct((Frame(None, number, None) for number in range(1000)), slow, 2)  # type: ignore[arg-type]
    assert [next(reader).iterations for _ in range(3)] == [0, 1, 2]
    for _ in (3, 4):
        assert begun.acquire(timeout=60)
    reader.close()
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_an_error_comes_out_in_its_turn() -> None:
    def bad(code: object, llr: object, syndrome: object) -> Decoded:
        if llr == 4:
            raise InputError("a bad frame")
        return Decoded(np.zeros(0, np.uint8), True, 1)

    reader = correct((Frame(None, number, None) for number in range(9)), bad, 2)  # type: ignore[arg-type]
    for _ in range(4):
        next(reader)
    with pytest.raises(InputError, match="a bad frame"):
        next(reader)
