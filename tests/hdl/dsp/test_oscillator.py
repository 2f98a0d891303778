import numpy as np
import pytest
from amaranth.sim import Simulator, SimulatorContext

from kronborg_hdl.dsp.nco import oscillator
from kronborg_hdl.dsp.oscillator import Oscillator


@pytest.mark.parametrize(("lanes", "spare"), [(1, True), (2, False), (2, True), (8, False), (16, False)])
def test_gives_the_model_s_phasors_over_frames_loads_and_pauses(lanes: int, spare: bool) -> None:
    rng = np.random.default_rng(lanes)
    core = Oscillator(lanes=lanes, spare=spare)
    # Frames in beats; a new word and phase is loaded before some of them, in the clock of the last beat or between.
    plan = [(5, True), (1, False), (9, True), (1, True), (1, True), (12, False), (30, True)]
    expected: list[list[tuple[int, int]]] = []
    given: list[list[tuple[int, int]]] = []
    step = [0]  # steps that the pipeline has moved
    due: list[int] = []

    async def drive(ctx: SimulatorContext) -> None:
        word = phase = 0

        async def clock(*, advance: bool, accept: bool = False, last: bool = False, load: bool = False) -> None:
            ctx.set(core.advance, advance)
            ctx.set(core.accept, accept)
            ctx.set(core.last, last)
            ctx.set(core.load, load)
            if advance:
                if step[0] in due:
                    given.append([(phasor["cosine"], phasor["sine"]) for phasor in ctx.get(core.o)])
                if accept:
                    due.append(step[0] + Oscillator.LATENCY)
                step[0] += 1
            await ctx.tick()

        def choose() -> tuple[int, int]:
            chosen = int(rng.integers(2**32)), int(rng.integers(2**32))
            ctx.set(core.word, chosen[0])
            ctx.set(core.phase, chosen[1])
            return chosen

        for number, (beats, load) in enumerate(plan):
            if load and number == 0:
                word, phase = choose()
                await clock(advance=False, load=True)
            cosine, sine = oscillator(word, beats * lanes, phase=phase)
            words = list(zip(cosine.tolist(), sine.tolist(), strict=True))
            expected.extend(words[beat * lanes : (beat + 1) * lanes] for beat in range(beats))
            follows = number + 1 < len(plan) and plan[number + 1][1]
            for beat in range(beats):
                while rng.random() < 0.4:
                    await clock(advance=bool(rng.random() < 0.5))
                last = beat == beats - 1
                if last and follows:
                    word, phase = choose()
                await clock(advance=True, accept=True, last=last, load=last and follows)
        for _ in range(Oscillator.LATENCY + 1):
            await clock(advance=True)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert given == expected
