"""The loopback's own wiring, without what its parts do: frames are permitted by the watch-dog alone.

What the whole computes is compared by ``kronborg bench rtl --core loopback``, and behind PYNQ by tests/with_pynq.
"""

import pytest
from amaranth import Module
from amaranth.sim import Simulator

from kronborg_hdl.channel.fibre_emulator.core import FibreEmulator
from kronborg_hdl.loopback.core import Loopback
from kronborg_hdl.receiver.core import Receiver
from kronborg_hdl.transmitter.core import Transmitter

PERIOD = 10


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """With parts that have their ports and are empty."""
    for part in (Transmitter, FibreEmulator, Receiver):
        monkeypatch.setattr(part, "elaborate", lambda self, platform: Module())
    return Loopback(lanes=1, samples_per_symbol=8, span=17)


def test_frames_begin_only_while_the_watch_dog_permits_it(core: Loopback) -> None:
    host, frames = core.port.transmitter_frame_controller, core.transmitter.port.frame_controller

    async def bench(ctx) -> None:
        ctx.set(core.port.watchdog.period.clocks, PERIOD)
        ctx.set(host.control.run, 1)
        ctx.set(host.payload.length, 1234)
        await ctx.tick().repeat(3)
        assert not ctx.get(frames.control.run), "nobody has armed it"
        assert ctx.get(frames.payload.length) == 1234, "settings need no permission"
        ctx.set(core.port.watchdog.control.armed, 1)
        for _ in range(PERIOD - 1):
            await ctx.tick()
            assert ctx.get(frames.control.run)
        ctx.set(host.control.run, 0)
        assert not ctx.get(frames.control.run), "the host ends it itself"
        ctx.set(host.control.run, 1)
        await ctx.tick()
        assert not ctx.get(frames.control.run), "the host was silent"
        assert ctx.get(core.port.watchdog.status.expired)

    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
