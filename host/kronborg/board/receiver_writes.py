"""What is written into a receiver's registers for its settings, and in which order. ``docs/receiver.md`` says why."""

from __future__ import annotations

from collections.abc import Iterator

from kronborg_hdl.compensation.pilot_tracker.model import Settings as TrackerSettings
from kronborg_hdl.decimation.resampler.kernel import KERNELS
from kronborg_hdl.receiver.closed_loop import ClosedLoop
from kronborg_hdl.receiver.model import alignment
from kronborg_hdl.synchronisation.frame_synchroniser.model import Settings as SynchroniserSettings

Write = tuple[str, str, dict[str, int]]
"""Page, register, and its fields in words."""

APPLIED = (
    "converter_input",
    "mixer",
    "pilot_tracker",
    "phase_smoother",
    "rotator",
    "resampler",
    "symbol_filter",
)
"""Pages whose settings are then put to use with CONTROL.apply, in this order; the synchroniser's have it already."""


def receiver_writes(settings: ClosedLoop) -> Iterator[Write]:
    """All settings but those of the power meter and the tap; nothing is applied by them but the synchroniser's."""
    converter = settings.converter_input
    yield "converter_input", "tracking", {"averaging": converter.averaging, "hold": int(converter.hold)}
    yield "converter_input", "threshold", {"upper": converter.upper, "lower": converter.lower}
    yield "converter_input", "gain", {"word": converter.gain}
    yield "converter_input", "skew", {"word": converter.skew}
    for name, word in zip(("signal", "pilot_0", "pilot_1"), settings.mixer.offsets, strict=True):
        yield "mixer", f"{name}_offset", {"word": word}
    for register, words in tracker_writes(settings.tracker.settings):
        yield "pilot_tracker", register, words
    weights = settings.smoother.weights
    half = len(weights) // 2
    for number, part in enumerate((weights[:half], weights[half:])):
        stages = {f"stage_{number * half + stage}": weight for stage, weight in enumerate(part)}
        yield "phase_smoother", f"weights_{number}", stages
    yield "rotator", "delay", {"hops": alignment(settings.mixer.halvings).hops}
    timing = settings.synchroniser.settings.timing
    yield "resampler", "step_low", {"word": timing.step % 2**32}
    yield "resampler", "step_high", {"word": timing.step >> 32}
    yield "resampler", "kernel", {"number": KERNELS.index(settings.resampler.kernel)}
    for index, tap in enumerate(settings.symbol_filter.taps.tolist()):
        yield "symbol_filter", "tap", {"value": tap, "index": index}
    yield "symbol_filter", "shift", {"amount": settings.symbol_filter.shift}
    for register, words in synchroniser_writes(settings.synchroniser.settings):
        yield "frame_synchroniser", register, words


def tracker_writes(settings: TrackerSettings) -> Iterator[tuple[str, dict[str, int]]]:
    """Registers of the pilot tracker, and their fields."""
    yield "mode", {"two_pilots": int(settings.two_pilots)}
    yield "threshold", {"word": settings.threshold}
    yield "start", {"word": settings.start}
    yield "step", {"word": settings.step}
    yield "search", {name: getattr(settings, name) for name in ("trials", "neighbourhood", "ambiguity")}
    yield "follow", {name: getattr(settings, name) for name in ("slot_log2", "block_log2", "gain", "patience")}


def synchroniser_writes(settings: SynchroniserSettings) -> Iterator[tuple[str, dict[str, int]]]:
    """Registers of the frame synchroniser, and their fields, in the order in which the host writes them.

    Chips are taken while it does not run; settings hold with the last write.
    """
    detector = set(settings.sizes.places.tolist())
    for index, (i, q) in enumerate(settings.chips):
        yield (
            "chip",
            {"index": index, "negative_i": int(i < 0), "negative_q": int(q < 0), "detector": int(index in detector)},
        )
    timing = settings.timing
    yield "threshold", {"magnitude": settings.threshold}
    yield "header", {"repetition": settings.header_repetition, "eighths": settings.header_eighths}
    yield "payload", {"length": settings.payload}
    yield "period", {"length": settings.period}
    yield "tolerance", {"symbols": settings.tolerance}
    yield "slope", {"symbols": timing.slope}
    yield "weak", {"amplitude": timing.weak}
    yield "wide", {"phase": timing.wide}
    yield "step_low", {"word": timing.step % 2**32}
    yield "step_high", {"word": timing.step >> 32}
    for name, gains in (("acquire", timing.acquire), ("track", timing.track)):
        yield f"{name}_phase", {"gain": gains.phase}
        yield f"{name}_drift", {"gain": gains.drift}
        yield f"{name}_frequency", {"gain": gains.frequency}
    yield "retime_after", {"symbols": timing.retime_after}
    yield "vacuum", {"length": settings.vacuum}
    yield "calibration", {"length": settings.calibration}
    yield "margin", {"symbols": settings.margin}
    yield "control", {"run": 1, "apply": 1}
