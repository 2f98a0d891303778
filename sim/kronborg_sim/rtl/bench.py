"""A core's RTL against its bit-exact model: every word of a long run, with and without pauses on either side.

Four runs, each after a reset and with its own random stimulus: without pauses, with an input that pauses, with an
output that is not always taken, and with both. In the first of them the samples per clock are counted.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg.errors import InputError
from kronborg_hdl.axi.skin import Core, Skin

from .cases import CASES, Case, Size
from .model import Beats, RtlModel
from .simulation import RtlError

IDLE = 0.4
"""Probability that an input pauses in a clock, where it does."""
BACK_PRESSURE = 0.7
"""Probability that an output is not taken: high enough to hold up a core that gives a word every eighth clock."""
SILENT_CLOCKS = 500
"""After the last expected word nothing may come for so long."""


@dataclass(frozen=True)
class RtlBench:
    """What a bench of a core found.

    Attributes:
        core: its name.
        lanes: samples per clock that it was built for.
        symbols: in all runs together.
        samples_per_clock: of the run without pauses, from the first beat to the last, frame boundaries included.
        bit_exact: every word, every end of a frame and every counter was the model's.
        fault: the first thing that was not; empty if there is none.
        simulated_cycles_per_second: clocks of all runs per second of wall time.
        clock_cycles: of all runs.
        build_seconds: from Amaranth to the compiled library; short if it was kept from before.
        run_seconds: all runs, the model's time among them.
    """

    core: str
    lanes: int
    symbols: int
    samples_per_clock: float
    bit_exact: bool
    fault: str
    simulated_cycles_per_second: float
    clock_cycles: int
    build_seconds: float
    run_seconds: float


def bench_core(
    name: str,
    lanes: int,
    *,
    symbols: int = 100_000,
    samples_per_symbol: int = 8,
    span: int = 33,
    seed: int = 1,
    directory: Path | None = None,
    verilog: Callable[[Core, str], str] = lambda core, name: Skin(core).to_verilog(name),
    done: Callable[[str], None] = lambda stage: None,
) -> RtlBench:
    """Build a core's RTL and compare it with its model, word by word.

    Args:
        name: of the core, one of ``CASES``.
        lanes: samples per clock; of a source, symbols per clock.
        symbols: of each of the four runs, at least.
        samples_per_symbol: M, of a core that has it.
        span: K, likewise.
        seed: of settings, stimulus and pauses.
        directory: where compiled libraries are kept, see :func:`.build.build`.
        verilog: of a core and the name of its top module: the RTL, or what was made of it.
        done: called after each stage, with its name: "build", then each run.

    Raises:
        InputError: there is no such core, or not of this size.
        RuntimeError: the RTL was not accepted by Verilator or the compiler.
    """
    if name not in CASES:
        raise InputError(f"there is no core {name!r}: choose one of {', '.join(CASES)}")
    if symbols < 1:
        raise InputError(f"{symbols} symbols: give one or more")
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    try:
        case = CASES[name](Size(lanes, samples_per_symbol, span), rng)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    model = RtlModel(verilog(case.core, name), name, case.core.registers, directory)
    built = time.perf_counter()
    done("build")
    sent, rate, fault = 0, 0.0, ""
    for idle, back_pressure in itertools.product((False, True), repeat=2):
        stage = " and ".join(word for word, on in (("idle", idle), ("back-pressure", back_pressure)) if on)
        stage = stage or "no pauses"
        set_pauses(model, IDLE * idle, BACK_PRESSURE * back_pressure, seed, case.steady)
        measured, found = run_case(case, model, rng, symbols)
        sent += int(len(measured) * case.samples_per_beat / case.samples_per_symbol)
        if not (idle or back_pressure):
            rate = samples_per_clock(measured, case.samples_per_beat)
        if found:
            fault = f"{stage}: {found}"
            break
        done(stage)
    return RtlBench(
        core=name,
        lanes=lanes,
        symbols=sent,
        samples_per_clock=rate,
        bit_exact=not fault,
        fault=fault,
        simulated_cycles_per_second=model.cycles_per_second,
        clock_cycles=model.clocks,
        build_seconds=built - began,
        run_seconds=time.perf_counter() - built,
    )


def set_pauses(model: RtlModel, idle: float, back_pressure: float, seed: int, steady: Sequence[str] = ()) -> None:
    """Pause all streams, those of the registers among them, with these probabilities; but not the steady ones."""
    for stream in set(model.streams) - set(steady):
        model.pause(stream, idle if model.is_input(stream) else back_pressure, seed=seed)


def samples_per_clock(beats: Beats, samples_per_beat: float) -> float:
    """Rate of a stream from its first beat to its last."""
    if not len(beats):
        return 0.0
    clocks = int(beats.clocks[-1]) - int(beats.clocks[0]) + 1
    return len(beats) * samples_per_beat / clocks


def difference(stream: str, expected: Sequence[NDArray[Any]], beats: Beats, *, has_last: bool = True) -> str:
    """Where beats that came differ from the frames that had to come, in a line; empty if they do not.

    Frames of an endless stream, which has no TLAST, are only what their words make together.
    """
    if not expected:
        return f"{stream}: {len(beats)} beats came, and none had to" if len(beats) else ""
    frames = [_words(frame) for frame in expected]
    words = np.concatenate([frame.ravel() for frame in frames])
    came = beats.words(words.dtype)
    per_beat = beats.data.shape[1] // words.dtype.itemsize
    wrong = np.flatnonzero(came[: len(words)] != words[: len(came)])
    if len(wrong):
        at = int(wrong[0])
        clock = beats.clocks[at // per_beat]
        return f"{stream}, clock {clock}: word {at} of {len(words)} is {came[at]} and not {words[at]}"
    if len(came) != len(words):
        return f"{stream}: {len(came)} words came and not {len(words)}"
    marks = [frame["user"] for frame in expected if frame.dtype.names]
    if marks and len(wrong := np.flatnonzero(np.concatenate(marks) != beats.user)):
        return f"{stream}: TUSER of beat {wrong[0]} is {beats.user[wrong[0]]:#x}"
    if not has_last:
        return ""
    last = np.zeros(len(beats), bool)
    last[np.cumsum([frame.size // per_beat for frame in frames]) - 1] = True
    wrong = np.flatnonzero(last != beats.last)
    return f"{stream}: TLAST of beat {wrong[0]} is {beats.last[wrong[0]]}" if len(wrong) else ""


def run_case(case: Case, model: RtlModel, rng: np.random.Generator, symbols: int) -> tuple[Beats, str]:
    """One run, from a reset on, with pauses as they are set.

    Args:
        case: what to run.
        model: its core's RTL.
        rng: of the stimulus.
        symbols: of that, at least.

    Returns:
        Beats of the stream whose rate counts, and the first thing that was not the model's; empty if there is none.
    """
    stimulus = case.stimulus(rng, symbols)
    try:
        model.reset()
        case.configure(model)
        frames, counts = case.response(stimulus)
        for stream, given in stimulus.items():
            for frame in given:
                model.send(stream, _words(frame), user=frame["user"] if frame.dtype.names else None)
        # With pauses a beat takes five clocks on the average; a core that stops is given up.
        everything = [*stimulus.items(), *frames.items()]
        beats = sum(_words(frame).nbytes // model.beat_bytes(stream) for stream, given in everything for frame in given)
        for stream, given in frames.items():
            if model.has_last(stream):
                model.wait(stream, frames=len(given), within=10_000 + 12 * beats)
            elif size := sum(_words(frame).nbytes for frame in given):
                model.wait(stream, beats=size // model.beat_bytes(stream), within=10_000 + 12 * beats)
        model.run(SILENT_CLOCKS)
        read = {name: model.read(*name) for name in counts}
    except RtlError as error:
        return model.received(case.rate_of), str(error)
    measured = model.received(case.rate_of)
    came = {stream: measured if stream == case.rate_of else model.received(stream) for stream in frames}
    faults = [difference(name, frames[name], came[name], has_last=model.has_last(name)) for name in frames]
    faults += [f"{name} reads {read[name]} and not {counts[name]}" for name in counts if read[name] != counts[name]]
    return measured, next(filter(None, faults), "")


def _words(frame: NDArray[Any]) -> NDArray[Any]:
    """A frame's TDATA."""
    return np.ascontiguousarray(frame["words"]) if frame.dtype.names else frame
