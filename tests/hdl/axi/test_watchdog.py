"""The watch-dog: armed, fed, late."""

from amaranth.sim import Simulator

from kronborg_hdl.axi.watchdog.core import Watchdog

PERIOD = 10


def test_it_permits_while_heartbeats_come_in_time_and_not_after_one_that_was_late() -> None:
    core = Watchdog()

    async def heartbeat(ctx) -> None:
        ctx.set(core.port.heartbeat.written, 1)
        await ctx.tick()
        ctx.set(core.port.heartbeat.written, 0)

    async def bench(ctx) -> None:
        ctx.set(core.port.period.clocks, PERIOD)
        await ctx.tick().repeat(3)
        assert not ctx.get(core.permits), "nobody has armed it"
        ctx.set(core.port.control.armed, 1)
        for _ in range(5):
            await ctx.tick().repeat(PERIOD - 2)
            assert ctx.get(core.permits)
            assert not ctx.get(core.port.status.expired)
            await heartbeat(ctx)
        await ctx.tick().repeat(PERIOD - 1)
        assert ctx.get(core.permits)
        await ctx.tick()
        assert not ctx.get(core.permits)
        assert ctx.get(core.port.status.expired)
        await heartbeat(ctx)
        assert not ctx.get(core.permits), "too late"
        ctx.set(core.port.control.armed, 0)
        await ctx.tick()
        assert not ctx.get(core.permits)
        ctx.set(core.port.control.armed, 1)
        await ctx.tick()
        assert ctx.get(core.permits)
        assert ctx.get(core.port.left.clocks) == PERIOD - 1

    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
