"""What an overlay connects, without what its parts do: each stream, each line of interrupts, and who permits frames.

Drivers use neither a generator's words nor pictures, so that no test of a link sees where these go.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth import Module, Value
from amaranth.sim import Simulator

from kronborg_hdl.axi.dma.core import Dma
from kronborg_hdl.axi.interrupts.core import InterruptController
from kronborg_hdl.boards import BOARDS
from kronborg_hdl.channel.fibre_emulator.core import FibreEmulator
from kronborg_hdl.loopback.core import Loopback
from kronborg_hdl.overlays.assembly import Assembly
from kronborg_hdl.overlays.loopback import LoopbackOverlay
from kronborg_hdl.overlays.receiver import ReceiverOverlay
from kronborg_hdl.overlays.transmitter import TransmitterOverlay
from kronborg_hdl.receiver.core import Receiver
from kronborg_hdl.transmitter.core import Transmitter

BITS, CLOCKS = 1024, 400
"""Of a packet, and to wait for it: the narrowest stream has eight bits a beat."""
SMALL = BOARDS["pynq-z2"].of_size("loopback")
ENDS = {
    "loopback": [
        ("record.o", "transmitter.i"),
        ("transmitter.record", "record.i"),
        ("transmitter.o", "fibre_emulator.i"),
        ("fibre_emulator.o", "receiver.i"),
        ("receiver.o", "packets.i"),
        ("receiver.picture", "pictures.i"),
    ],
    "receiver": [("packets.o", "receiver.i"), ("receiver.o", "packets.i"), ("receiver.picture", "pictures.i")],
    "transmitter": [
        ("record.o", "transmitter.i"),
        ("transmitter.record", "record.i"),
        ("transmitter.o", "samples.i"),
    ],
    "core": [
        ("i", "transmitter.i"),
        ("transmitter.record", "record"),
        ("transmitter.o", "fibre_emulator.i"),
        ("fibre_emulator.o", "receiver.i"),
        ("receiver.o", "o"),
        ("receiver.picture", "picture"),
    ],
}
"""Streams of each overlay, and of the loopback that knows no memory."""
LINES = {
    "loopback": [("record", 0), ("record", 1), ("packets", 1), ("pictures", 1)],
    "receiver": [("packets", 0), ("packets", 1), ("pictures", 1)],
    "transmitter": [("record", 0), ("record", 1), ("samples", 1)],
}
"""Engine, and 0 for its sender, 1 for its receiver, by the number of the controller's line."""


@pytest.fixture
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """With parts that have their ports and are empty."""
    for part in (Transmitter, FibreEmulator, Receiver, Dma, InterruptController):
        monkeypatch.setattr(part, "elaborate", lambda self, platform: Module())
    match request.param:
        case "loopback":
            return LoopbackOverlay(SMALL, span=17)
        case "receiver":
            return ReceiverOverlay(SMALL)
        case "transmitter":
            return TransmitterOverlay(SMALL, span=17)
    return Loopback(lanes=1, samples_per_symbol=8, span=17)


def simulate(core: Any, *benches: Any) -> None:
    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def end(core: Any, path: str) -> Any:
    for name in path.split("."):
        core = getattr(core, name)
    return core


def data_of(stream: Any) -> tuple[Value, Value | None]:
    """What a beat carries, and its ``last``, if it has one."""
    has_last = "last" in stream.payload.shape().members
    return Value.cast(stream.payload.words), stream.payload.last if has_last else None


@pytest.mark.parametrize(("core", "ends"), ENDS.items(), indirect=["core"], ids=ENDS)
def test_every_stream_goes_where_it_belongs_and_waits_there(core: Any, ends: list[tuple[str, str]]) -> None:
    """A packet of its own goes through each at once, with pauses behind it."""
    benches = []
    for number, names in enumerate(ends):
        rng = np.random.default_rng(number)
        packet = int.from_bytes(rng.bytes(BITS // 8), "little")
        source, sink = (end(core, name) for name in names)

        async def send(ctx: Any, source: Any = source, packet: int = packet) -> None:
            words, last = data_of(source)
            for place in range(0, BITS, len(words)):
                ctx.set(words, packet >> place & (1 << len(words)) - 1)
                if last is not None:
                    ctx.set(last, place + len(words) == BITS)
                ctx.set(source.valid, 1)
                await ctx.tick().until(source.ready)
            ctx.set(source.valid, 0)

        async def take(
            ctx: Any, sink: Any = sink, packet: int = packet, names: Any = names, rng: Any = rng, source: Any = source
        ) -> None:
            words, last = data_of(sink)
            came, place = 0, 0
            for _ in range(CLOCKS):
                ready = int(rng.random() < 0.7)
                ctx.set(sink.ready, ready)
                _, _, valid, word, ends = await ctx.tick().sample(sink.valid, words, words[0] if last is None else last)
                if valid and ready:
                    came |= (word % (1 << len(words))) << place
                    place += len(words)
                    if last is not None and data_of(source)[1] is not None:
                        assert ends == (place == BITS), f"{names}: a packet's end after {place} bits"
            assert (place, came) == (BITS, packet), names

        benches += [send, take]
    simulate(core, *benches)


@pytest.mark.parametrize(("core", "lines"), LINES.items(), indirect=["core"], ids=LINES)
def test_every_engines_interrupt_has_its_own_line(core: Assembly, lines: list[tuple[str, int]]) -> None:
    controller = core.cores["interrupts"]

    async def bench(ctx: Any) -> None:
        for number, (engine, half) in enumerate(lines):
            interrupts = getattr(core, engine).interrupts
            ctx.set(interrupts, 1 << half)
            assert ctx.get(controller.i) == 1 << number, (engine, half)  # type: ignore[attr-defined]
            ctx.set(interrupts, 0)
        ctx.set(controller.o, 1)  # type: ignore[attr-defined]
        assert ctx.get(core.irq)

    assert len(lines) == len(core.overlay.lines)
    simulate(core, bench)


@pytest.mark.parametrize("core", ["loopback", "transmitter"], indirect=True)
def test_frames_of_an_overlay_begin_only_while_its_watch_dog_permits_it(core: Assembly) -> None:
    host, frames = core.port.transmitter_frame_controller, core.transmitter.port.frame_controller

    async def bench(ctx: Any) -> None:
        ctx.set(core.port.watchdog.period.clocks, 10)
        ctx.set(host.control.run, 1)
        await ctx.tick()
        assert not ctx.get(frames.control.run)
        ctx.set(core.port.watchdog.control.armed, 1)
        await ctx.tick()
        assert ctx.get(frames.control.run)
        await ctx.tick().repeat(10)
        assert not ctx.get(frames.control.run)

    simulate(core, bench)
