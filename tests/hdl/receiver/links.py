"""A link for the tests of the assembly: what is sent, what the converter sees, and the RTL against the model on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kronborg_hdl.compensation.rotator.model import Rotator
from kronborg_hdl.compensation.unit_phasor.model import unit_phasor
from kronborg_hdl.decimation.resampler.model import start
from kronborg_hdl.receiver.closed_loop import Change, ClosedLoop, Run
from kronborg_hdl.receiver.model import alignment, decimate
from kronborg_hdl.receiver.pilot_loop import PilotLoop
from kronborg_hdl.synchronisation.frame_synchroniser.packet import EVENTS, Flag, Packet
from kronborg_sim.benches.receiver import PACKETS, SAMPLES, ReceiverBench, Scene

DETECTOR_CHIPS = 128
SCENE = Scene(2048, preamble=509, vacuum=1800, signal_snu=3.0)
FRAMES = 9
LEAST_CORRELATION = 0.83
"""Of a payload at an SNR of 2.9 with Alice's symbols: 0.861 when nothing is amiss; its noise is below 0.01."""
FROM_OUTSIDE = Flag(sum(EVENTS))


@dataclass
class Link:
    """Frames sent, and what the converter makes of them. A symbol is a hop."""

    scene: Scene
    symbols: list[np.ndarray]
    samples: np.ndarray

    def correlation(self, packet: Packet) -> float:
        """Of a packet's symbols with those of the frame of its number."""
        y, x = (words.astype(float) @ (1, 1j) for words in (packet.symbols, self.symbols[packet.frame]))
        return float(abs(np.vdot(x, y)) / np.sqrt(np.vdot(x, x).real * np.vdot(y, y).real))

    def middle(self, number: int) -> int:
        """A symbol, or hop, in the middle of a frame's payload."""
        return number * self.scene.period + self.scene.transmitter.frame.head + self.scene.payload // 2

    def frame(self, number: int) -> slice:
        """Samples of a frame's payload, a little less than all of them."""
        begin = (number * self.scene.period + self.scene.transmitter.frame.head) * self.scene.samples_per_symbol
        return slice(begin + 1600, begin + self.scene.payload * self.scene.samples_per_symbol - 1600)


def link(scene: Scene = SCENE, *, seed: int = 1, frames: int = FRAMES) -> Link:
    rng = np.random.default_rng(seed)
    sent, symbols = scene.sent(frames, rng)
    return Link(scene, symbols, scene.detected(np.concatenate(sent), rng))


def feed(bench: ReceiverBench, samples: np.ndarray) -> None:
    """Let samples in until the chain has done all that it can with them: what is then written has its place."""
    bench.rtl.send(SAMPLES, samples)
    while bench.rtl.left(SAMPLES):
        bench.rtl.run(1000)
    bench.rtl.run(500)


def receive(
    bench: ReceiverBench,
    of: Link,
    *,
    model: ClosedLoop | None = None,
    changes: Sequence[tuple[Change, Callable[[], object]]] = (),
    idle: float = 0.0,
    back_pressure: float = 0.0,
    source_waits: bool = True,
    ready: Callable[[], object] = lambda: None,
) -> tuple[dict[int, Packet], Run]:
    """Packets of the RTL by number, and the model's run. All words and the synchroniser's own reasons agree.

    `changes` have what the model does and what the host does at that place; `ready` is called before the first sample.
    """
    model = model or of.scene.receiver(bench.core.mixer.lanes, detector_chips=DETECTOR_CHIPS)
    expected = model.process(of.samples, [change for change, _ in changes])
    bench.rtl.pause(SAMPLES, idle, seed=2)
    bench.rtl.pause(PACKETS, back_pressure, seed=3)
    bench.rtl.reset()
    bench.configure(model, source_waits=source_waits)
    ready()
    begin = 0
    for change, act in changes:
        feed(bench, of.samples[begin : (begin := change.at * model.mixer.hop)])
        act()
    bench.rtl.send(SAMPLES, of.samples[begin:])
    if expected.packets:
        bench.rtl.wait(
            PACKETS, frames=len(expected.packets), within=4 * len(of.samples) // bench.core.mixer.lanes + 20_000
        )
    while bench.rtl.left(SAMPLES):
        bench.rtl.run(1000)
    packets = bench.packets()
    assert len(packets) == len(expected.packets)
    for packet, wanted in zip(packets, expected.packets, strict=True):
        np.testing.assert_array_equal(packet.symbols, wanted.symbols)
        alike = ("frame", "magnitude", "correlation", "phase", "place")
        assert [getattr(packet, name) for name in alike] == [getattr(wanted, name) for name in alike]
        assert packet.flags & ~FROM_OUTSIDE == wanted.flags & ~FROM_OUTSIDE
        # The core may mark a frame too many, never one too few.
        assert not wanted.flags & ~packet.flags
    assert bench.rtl.read(("mixer", "late_commands"), "count") == 0
    assert bench.rtl.read(("resampler", "late_commands"), "count") == 0
    handed_on = [packet.good for packet in packets]
    counts = {"missing": expected.counts.missing, "good": handed_on.count(True), "marked": handed_on.count(False)}
    assert {name: bench.rtl.read(("frame_synchroniser", f"frames_{name}"), "count") for name in counts} == counts
    return {packet.frame: packet for packet in packets}, expected


def between_parts(model: ClosedLoop, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Words of every stream that the tap can look at, from a first stretch in which nothing commands the resampler."""
    words = {"samples": model.converter_input.process(samples, model.offset).words}
    followed = PilotLoop(model.mixer, model.tracker).process(words["samples"])
    words |= {"signal": followed.signal, "pilots": followed.pilots.transpose(1, 0, 2).reshape(-1, 2)}
    words["smoothed"] = model.smoother.process(followed.pilots[0])
    words["phasors"] = unit_phasor(words["smoothed"])
    halvings = model.mixer.halvings
    words["decimated"] = decimate(words["signal"], halvings)[0]
    rotator = Rotator(alignment(halvings).hops)
    words["rotated"] = rotator.process(words["decimated"], words["phasors"]).samples
    begin = start(model.synchroniser.settings.timing.step)
    words["resampled"] = model.resampler.process(words["rotated"], begin).samples
    words["symbols"] = model.symbol_filter.process(words["resampled"]).words
    return words


def good(packets: dict[int, Packet]) -> set[int]:
    return {number for number, packet in packets.items() if packet.good}
