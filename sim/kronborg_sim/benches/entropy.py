"""Bench of the entropy source in its skin: words against the models, failures injected, erasures looked for.

Parameters: rounds_per_clock, sample_bits, word_bits.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiResp, AxiStreamFrame
from numpy.typing import NDArray

from kronborg_hdl.modulation.entropy.chacha20.model import BLOCK_WORDS
from kronborg_hdl.modulation.entropy.health.model import (
    START_UP_SAMPLES,
    HealthTests,
    proportion_cutoff,
    repetition_cutoff,
    window,
)
from kronborg_hdl.modulation.entropy.model import Entropy, pack
from kronborg_hdl.modulation.entropy.registers import REGISTERS, Source

from .runner import parameters
from .skin_bench import SkinBench, signals

PARAMETERS = parameters()
ROUNDS_PER_CLOCK, SAMPLE_BITS, WORD_BITS = (
    PARAMETERS["rounds_per_clock"],
    PARAMETERS["sample_bits"],
    PARAMETERS["word_bits"],
)
BEAT_WORDS = WORD_BITS // 32
SAMPLES_PER_KEY = 256 // SAMPLE_BITS
CLOCKS_PER_BLOCK = 20 // ROUNDS_PER_CLOCK
SETTLED = 20 * 4 + 4 * CLOCKS_PER_BLOCK + 40
"""Clocks after which nothing is under way any more in a core that is not held up."""

CLAIM = 0.95 * SAMPLE_BITS
TESTS = HealthTests(SAMPLE_BITS, repetition_cutoff(CLAIM), proportion_cutoff(CLAIM, window(SAMPLE_BITS)))

Words = NDArray[np.uint32]
Samples = NDArray[np.uint16]

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])
in_modes_that_need_the_stream = cocotb.parametrize(mode=[Source.STREAM, Source.DIRECT])


def random_key(rng: np.random.Generator) -> Words:
    """A host's key."""
    return rng.integers(0, 2**32, 8, np.uint32)


def good_samples(rng: np.random.Generator, count: int) -> Samples:
    """Full entropy."""
    return rng.integers(0, 2**SAMPLE_BITS, count, np.uint16)


class Bench(SkinBench):
    """The source's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        self.beats: list[tuple[int, int]] = []
        cocotb.start_soon(self._watch_output())

    async def _watch_output(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.aclk)
            if int(dut.m_axis_tvalid.value) and int(dut.m_axis_tready.value):
                self.beats.append((int(dut.m_axis_tdata.value), int(dut.m_axis_tlast.value)))

    @property
    def words(self) -> Words:
        """All words that came since the last reset."""
        text = b"".join(beat.to_bytes(WORD_BITS // 8, "little") for beat, _ in self.beats)
        return np.frombuffer(text, "<u4").astype(np.uint32)

    async def reset(self) -> None:
        """Also forget the output."""
        await super().reset()
        self.beats.clear()

    async def begin(self, mode: Source, model: Entropy | None = None) -> None:
        """Write all settings, then the mode."""
        model = model or Entropy()
        await self.write("repetition", cutoff=TESTS.repetition_cutoff)
        await self.write("proportion", cutoff=TESTS.proportion_cutoff)
        await self.write("instance", number=model.instance)
        await self.write("blocks_per_key", count=model.blocks_per_key)
        await self.write("source", mode=mode)

    async def epoch(self) -> int:
        """Keys taken until now."""
        return await self.read("epoch_low", "count") | await self.read("epoch_high", "count") << 32

    async def write_key(self, key: Words) -> None:
        """The eight words, not yet in use."""
        for word in key:
            await self.write("key", word=int(word))

    async def seed(self, key: Words) -> int:
        """Put a key to use; returns its epoch."""
        epoch = await self.epoch()
        await self.write_key(key)
        await self.write("control", seed=1)
        while await self.read("control", "seed"):
            pass
        assert await self.epoch() == epoch + 1, "the key was not taken"
        return epoch

    def feed(self, samples: Samples) -> None:
        """Queue samples."""
        self.source.send_nowait(AxiStreamFrame(pack(samples, SAMPLE_BITS).astype("<u4").tobytes()))

    async def come(self, words: int) -> None:
        """Wait until so many words have come."""
        while len(self.beats) * BEAT_WORDS < words:
            await ClockCycles(self.dut.aclk, 8)

    async def silence(self) -> None:
        """Wait until all samples are taken and no more words come."""
        self.drain_output()
        await self.source.wait()
        count = -1
        while len(self.beats) != count:
            count = len(self.beats)
            await ClockCycles(self.dut.aclk, 2 * SETTLED)

    def holds(self, secret: Words) -> list[str]:
        """Signals of the gateware in which a word of the secret stands, at any place."""
        texts = [f"{word:032b}" for word in secret]
        return [
            name
            for scope in (self.dut.core, self.dut.bank)
            for name, value, width in signals(scope)
            if any(text in f"{value:0{width}b}" for text in texts)
        ]


@bench_test
@crossed_with_pauses
async def the_hosts_keystream_is_the_models(dut: Any, idle: bool, back_pressure: bool) -> None:
    """A consumer that stops within a block goes on with the next word; a new key begins with a block of its own."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    model = Entropy(instance=0xC0FFEE01)
    await bench.begin(Source.HOST, model)
    bench.feed(good_samples(rng, 64 * 200 // SAMPLE_BITS))  # tested and thrown away
    keys = [random_key(rng) for _ in range(3)]
    expected: list[Words] = []
    for number, key in enumerate(keys):
        epoch = await bench.seed(key)
        expected.append(model.host(key, epoch, 600))
        if number == 1:
            bench.hold_output()
            await ClockCycles(dut.aclk, 150)
            bench.release_output()
        # More than the old key has on its way, and not whole blocks.
        await bench.come(len(bench.words) + BLOCK_WORDS * (4 * ROUNDS_PER_CLOCK + 8) + BEAT_WORDS)
    words, blocks = bench.words, 0
    for number, stream in enumerate(expected):
        block = 0
        while (blocks + 1) * BLOCK_WORDS <= len(words):
            ours = words[blocks * BLOCK_WORDS : (blocks + 1) * BLOCK_WORDS]
            if not np.array_equal(ours, stream[block * BLOCK_WORDS : (block + 1) * BLOCK_WORDS]):
                break
            block, blocks = block + 1, blocks + 1
        assert block, f"key {number} gave nothing"
    assert blocks == len(words) // BLOCK_WORDS, "a block is no key's, or out of turn"
    assert len(set(words.tolist())) == len(words)
    lasts = [last for _, last in bench.beats]
    assert lasts == [(n + 1) % (BLOCK_WORDS // BEAT_WORDS) == 0 for n in range(len(lasts))]
    await bench.source.wait()
    assert await bench.read_word("status") == 0


@bench_test
@crossed_with_pauses
async def the_streams_keystream_is_the_models(dut: Any, idle: bool, back_pressure: bool) -> None:
    """The host's key first, then keys of the stream, each XORed onto the one before it; then it starves."""
    rng = np.random.default_rng(2)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    model = Entropy(instance=5, blocks_per_key=6)
    await bench.begin(Source.STREAM, model)
    key = random_key(rng)
    epoch = await bench.seed(key)
    samples = good_samples(rng, START_UP_SAMPLES + 9 * SAMPLES_PER_KEY + 64 // SAMPLE_BITS)
    bench.feed(samples)
    passed = pack(TESTS.process(samples).passed, SAMPLE_BITS)
    expected = np.concatenate([model.host(key, epoch, 6), model.stream(passed, epoch + 1, 1000, before=key)])
    await bench.silence()
    assert len(expected) == 10 * 6 * BLOCK_WORDS
    np.testing.assert_array_equal(bench.words, expected)
    assert await bench.epoch() == epoch + 10
    assert await bench.read_word("status") == REGISTERS["status"].word(starved=1)

    await bench.write("source", mode=Source.STREAM)  # erased: the chain begins with the stream alone
    bench.beats.clear()
    samples = good_samples(rng, START_UP_SAMPLES + 2 * SAMPLES_PER_KEY)
    bench.feed(samples)
    await bench.silence()
    passed = pack(TESTS.process(samples).passed, SAMPLE_BITS)
    np.testing.assert_array_equal(bench.words, model.stream(passed, epoch + 10, 1000))


@bench_test
@crossed_with_pauses
async def the_stream_itself_comes_out_after_the_start_up_test(dut: Any, idle: bool, back_pressure: bool) -> None:
    """In whole words, none lost, none changed; and good samples raise no alarm."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.begin(Source.DIRECT)
    assert await bench.read("control", "started") == 0
    beats = 500 if idle or back_pressure else 5_000
    samples = good_samples(rng, (beats * WORD_BITS + 64) // SAMPLE_BITS)
    bench.feed(samples)
    await bench.silence()
    passed = pack(samples[START_UP_SAMPLES:], SAMPLE_BITS)
    np.testing.assert_array_equal(bench.words, passed[: len(passed) // BEAT_WORDS * BEAT_WORDS])
    assert await bench.read("control", "started") == 1
    assert await bench.read_word("status") == REGISTERS["status"].word(starved=1)


def stuck(rng: np.random.Generator) -> Samples:
    """A good source that gets stuck, not at a beat's beginning."""
    samples = good_samples(rng, 3 * START_UP_SAMPLES)
    samples[2 * START_UP_SAMPLES + 37 :] = samples[2 * START_UP_SAMPLES + 36]
    return samples


def biased(rng: np.random.Generator) -> Samples:
    """A good source that comes to give one value twice in three samples, without long runs."""
    samples = good_samples(rng, 8 * START_UP_SAMPLES)
    late = samples[2 * START_UP_SAMPLES :]
    late[0::3] = late[1::3] = 1
    late[2::3] = 0
    return samples


@bench_test
@cocotb.parametrize(pauses=[False, True])
@in_modes_that_need_the_stream
@cocotb.parametrize(failure=["repetition", "proportion"])
async def a_failing_stream_stops_the_output_until_the_host_starts_it_again(
    dut: Any, pauses: bool, mode: Source, failure: str
) -> None:
    """Not good samples, nor clearing the flag; and keys that it gave are erased."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, idle=pauses, back_pressure=pauses)
    await bench.reset()
    model = Entropy(blocks_per_key=2)
    epoch = await bench.epoch()
    await bench.begin(mode, model)
    samples = stuck(rng) if failure == "repetition" else biased(rng)
    verdict = TESTS.process(samples)
    assert verdict.repetition_failed == (failure == "repetition")
    assert verdict.proportion_failed == (failure == "proportion") or failure == "repetition"
    bench.feed(samples)
    bench.feed(good_samples(rng, START_UP_SAMPLES * 2))
    await bench.silence()
    passed = pack(verdict.passed, SAMPLE_BITS)
    expected = passed if mode is Source.DIRECT else model.stream(passed, epoch, 10**6)
    words = bench.words
    np.testing.assert_array_equal(words, expected[: len(words)])
    if mode is Source.DIRECT:  # of good samples no more are lost than stood in the core
        assert len(passed) - 3 * BEAT_WORDS - 4 <= len(words)
    flag = REGISTERS["status"][f"{failure}_failed"]
    for _ in range(2):
        assert flag.extract(await bench.read_word("status")) == 1
        assert await bench.read("control", "stopped") == 1
        assert await bench.read("control", "keyed") == 0
        assert int(dut.fault.value) == 1
        await bench.write("status", repetition_failed=1, proportion_failed=1, starved=1, key_refused=1)
    # A host's key does not get it going either.
    await bench.write_key(random_key(rng))
    await bench.write("control", seed=1)
    assert await bench.read("status", "key_refused") == 1
    await bench.silence()
    assert len(bench.words) == len(words)

    await bench.write("source", mode=mode)
    assert await bench.read("control", "stopped") == 0
    assert await bench.read("status", f"{failure}_failed") == 1, "the flag went without the host's clearing it"
    await bench.write("status", repetition_failed=1, proportion_failed=1, starved=1, key_refused=1)
    bench.beats.clear()
    epoch = await bench.epoch()
    samples = good_samples(rng, START_UP_SAMPLES + 8 * SAMPLES_PER_KEY)
    bench.feed(samples)
    await bench.silence()
    passed = pack(samples[START_UP_SAMPLES:], SAMPLE_BITS)
    expected = passed if mode is Source.DIRECT else model.stream(passed, epoch, 10**6)
    np.testing.assert_array_equal(bench.words, expected)
    assert await bench.read_word("status") == REGISTERS["status"].word(starved=1)


@bench_test
@in_modes_that_need_the_stream
async def nothing_comes_from_a_stream_that_fails_its_start_up_test(dut: Any, mode: Source) -> None:
    """A run that ends with the start-up test's last sample."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    await bench.begin(mode, Entropy(blocks_per_key=1))
    samples = good_samples(rng, 3 * START_UP_SAMPLES)
    samples[START_UP_SAMPLES - TESTS.repetition_cutoff : START_UP_SAMPLES] = 1
    bench.feed(samples)
    await bench.silence()
    assert not bench.beats
    assert await bench.read("status", "repetition_failed") == 1


@bench_test
async def a_failing_stream_does_not_stop_the_hosts_keystream(dut: Any) -> None:
    """But the flag tells the host before it relies on the stream."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    await bench.begin(Source.HOST)
    key = random_key(rng)
    epoch = await bench.seed(key)
    bench.feed(np.ones(4 * START_UP_SAMPLES, np.uint16))
    await bench.source.wait()
    count = len(bench.words)
    await bench.come(count + 100)
    words = bench.words
    np.testing.assert_array_equal(words, Entropy().host(key, epoch, 10_000)[: len(words)])
    assert await bench.read_word("status") == REGISTERS["status"].word(repetition_failed=1, proportion_failed=1)
    assert await bench.read("control", "stopped") == 0
    assert int(dut.fault.value) == 0


@bench_test
@cocotb.parametrize(mode=[Source.HOST, Source.STREAM, Source.DIRECT])
async def starvation_is_flagged_when_a_word_is_missed(dut: Any, mode: Source) -> None:
    """Not before the first word, not while nobody asks for one; and the flag stays when words come again."""
    rng = np.random.default_rng(7)
    bench = Bench(dut)
    await bench.reset()
    await bench.begin(mode, Entropy(blocks_per_key=3))
    await ClockCycles(dut.aclk, SETTLED)
    assert await bench.read("status", "starved") == 0, "it starved before it began"
    bench.hold_output()
    if mode is Source.HOST:
        await bench.seed(random_key(rng))
    else:
        bench.feed(good_samples(rng, START_UP_SAMPLES + 2 * SAMPLES_PER_KEY))
    await ClockCycles(dut.aclk, START_UP_SAMPLES + 2 * SETTLED)
    assert await bench.read("status", "starved") == 0, "it starved while nobody asked"
    bench.release_output()
    await ClockCycles(dut.aclk, 2 * SETTLED)
    count = len(bench.beats)
    assert count
    assert int(dut.fault.value) == 1
    assert await bench.read("status", "starved") == 1
    if mode is Source.HOST:
        await bench.seed(random_key(rng))
    else:
        bench.feed(good_samples(rng, 2 * SAMPLES_PER_KEY))
    await ClockCycles(dut.aclk, 2 * SETTLED)
    assert len(bench.beats) > count
    assert await bench.read("status", "starved") == 1
    await bench.reset()
    assert await bench.read("status", "starved") == 0
    assert int(dut.fault.value) == 0


@bench_test
@cocotb.parametrize(by=["reset", "source", "spent"])
async def keys_are_erased(dut: Any, by: str) -> None:
    """No signal of the gateware holds a word of them, though some did; the register reads zero all the time."""
    rng = np.random.default_rng(8)
    bench = Bench(dut)
    await bench.reset()
    model = Entropy(blocks_per_key=1 if by == "spent" else 0)
    await bench.begin(Source.STREAM, model)
    key, staged = random_key(rng), random_key(rng)
    for word in key:
        await bench.write("key", word=int(word))
        assert await bench.read_word("key") == 0
    await bench.write("instance", number=0)  # the last word has left the bus
    places = bench.holds(key)
    assert any("seed" in name for name in places)
    assert not any(".bank." in name for name in places), "the bank kept what it handed on"
    await bench.write("control", seed=1)
    await ClockCycles(dut.aclk, 20)
    assert await bench.read_word("key") == 0
    places = bench.holds(key)
    assert any("entering" in name for name in places)
    assert not any("seed" in name for name in places), "the key is still where the host wrote it"
    await bench.write_key(staged[:5])
    await bench.write("instance", number=0)
    assert bench.holds(staged[:5])
    samples = good_samples(rng, START_UP_SAMPLES + 2 * SAMPLES_PER_KEY)
    fresh = pack(samples[START_UP_SAMPLES:], SAMPLE_BITS)
    bench.feed(samples)
    await bench.source.wait()
    await ClockCycles(dut.aclk, SETTLED)
    secrets = np.concatenate([key, fresh, key ^ fresh[:8], key ^ fresh[:8] ^ fresh[8:]])
    if by == "spent":  # more keys follow; the last one stays in use
        samples = good_samples(rng, 6 * SAMPLES_PER_KEY)
        bench.feed(samples)
        await bench.silence()
        more = np.concatenate([secrets[-8:], pack(samples, SAMPLE_BITS)]).reshape(-1, 8)
        in_turn = np.bitwise_xor.accumulate(more, axis=0)
        assert bench.holds(in_turn[-1])
        secrets = np.concatenate([secrets, *more[1:4], *in_turn[:-1]])
    else:
        secrets = np.concatenate([secrets, staged[:5]])
        assert bench.holds(fresh)
        if by == "reset":
            await bench.reset()
        else:
            await bench.write("source", mode=Source.OFF)
        bench.feed(np.zeros(64, np.uint16))  # the last sample leaves the bus, and what was seen of it there
        await ClockCycles(dut.aclk, 20)
    assert bench.holds(secrets) == []
    if by == "reset":
        assert await bench.read("control", "keyed") == 0
        assert await bench.read_word("status") == 0


@bench_test
@crossed_with_pauses
async def a_reset_within_a_block_never_brings_a_word_again(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Even if the host gives the same key once more: the epoch is no older than before."""
    rng = np.random.default_rng(9)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    key, model = random_key(rng), Entropy(instance=3)
    seen: set[int] = set()
    epochs = []
    for clocks in (0, 3):
        await bench.reset()
        await ClockCycles(dut.aclk, SETTLED)
        assert not bench.beats, "words came without a key"
        assert await bench.read("control", "keyed") == 0
        await bench.begin(Source.HOST, model)
        epochs.append(await bench.seed(key))
        await bench.come(BLOCK_WORDS * 6)
        await ClockCycles(dut.aclk, clocks)
        words = bench.words
        np.testing.assert_array_equal(words, model.host(key, epochs[-1], 1000)[: len(words)])
        assert not seen & set(words.tolist())
        seen |= set(words.tolist())
    assert epochs[1] > epochs[0]


@bench_test
async def what_is_no_whole_key_is_refused(dut: Any) -> None:
    """Too few words, parts of words, a mode that takes none; of too many words the last eight count."""
    rng = np.random.default_rng(10)
    bench = Bench(dut)
    await bench.reset()
    model = Entropy()
    key = random_key(rng)
    for mode in (Source.OFF, Source.DIRECT, Source.HOST):
        await bench.begin(mode, model)
        await bench.write_key(key if mode != Source.HOST else key[:7])
        if mode == Source.HOST:  # a part of the eighth word is none
            assert (await bench.bus.write(REGISTERS["key"].offset, b"\x55")).resp == AxiResp.SLVERR
        epoch = await bench.epoch()
        await bench.write("control", seed=1)
        assert await bench.read("status", "key_refused") == 1, mode
        assert await bench.epoch() == epoch
        assert await bench.read("control", "keyed") == 0
        await bench.write("status", key_refused=1)
    epoch = await bench.seed(key)  # seven words were there already
    await bench.come(BLOCK_WORDS)
    words = bench.words
    np.testing.assert_array_equal(words, model.host(key, epoch, 10_000)[: len(words)])
    await bench.write("control", seed=1)
    assert await bench.read("status", "key_refused") == 1, "one key was put to use twice"
    await bench.write("status", key_refused=1)

    # Entrance and exit hold two keys as long as the output is held: the third key waits, and takes no more words.
    await bench.begin(Source.HOST, model)
    bench.hold_output()
    bench.beats.clear()
    await bench.seed(key)
    await ClockCycles(dut.aclk, SETTLED)
    second, third = random_key(rng), random_key(rng)
    await bench.seed(second)
    await bench.write_key(third)
    await bench.write("control", seed=1)
    assert await bench.read("control", "seed") == 1
    assert await bench.read("status", "key_refused") == 0
    await bench.write("key", word=1)
    assert await bench.read("status", "key_refused") == 1
    epoch = await bench.epoch()
    bench.release_output()
    await ClockCycles(dut.aclk, 3 * SETTLED)
    assert await bench.read("control", "seed") == 0
    begins = model.host(third, epoch, 1)
    assert any(np.array_equal(bench.words[at : at + BLOCK_WORDS], begins) for at in range(0, len(bench.words), 16))


@bench_test
async def off_takes_nothing_and_gives_nothing(dut: Any) -> None:
    """As after a reset; and what stood in the core at that time does not come later."""
    rng = np.random.default_rng(11)
    bench = Bench(dut)
    await bench.reset()
    samples = good_samples(rng, START_UP_SAMPLES + 4 * SAMPLES_PER_KEY)
    bench.feed(samples)
    await ClockCycles(dut.aclk, SETTLED)
    assert int(dut.s_axis_tready.value) == 0
    await bench.begin(Source.DIRECT)
    bench.hold_output()
    await ClockCycles(dut.aclk, START_UP_SAMPLES + SETTLED)
    await bench.write("source", mode=Source.OFF)
    bench.release_output()
    await ClockCycles(dut.aclk, SETTLED)
    # AXI: what stood at the output must stay there until it is taken.
    np.testing.assert_array_equal(bench.words, pack(samples[START_UP_SAMPLES:], SAMPLE_BITS)[:BEAT_WORDS])


@bench_test
async def words_come_at_the_rate_that_is_stated(dut: Any) -> None:
    """512 R / 20 bits per clock from ChaCha20; a beat of 64 bits per clock from the stream."""
    rng = np.random.default_rng(12)
    bench = Bench(dut)
    await bench.reset()
    await bench.begin(Source.HOST)
    await bench.seed(random_key(rng))
    await bench.come(4 * BLOCK_WORDS)
    begin = len(bench.beats)
    await ClockCycles(dut.aclk, 600)
    assert abs((len(bench.beats) - begin) * WORD_BITS - 600 * 512 * ROUNDS_PER_CLOCK / 20) <= 2 * 512
    await bench.begin(Source.DIRECT)
    await ClockCycles(dut.aclk, 8)
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    bench.feed(good_samples(rng, (START_UP_SAMPLES + 64 * 200 // SAMPLE_BITS)))
    await bench.silence()
    assert taken_at == list(range(taken_at[0], taken_at[0] + len(taken_at))), "the core paused"
    assert set(np.diff(given_at).tolist()) == {WORD_BITS // 64}


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "rounds_per_clock") == ROUNDS_PER_CLOCK
    assert await bench.read("capabilities", "sample_bits") == SAMPLE_BITS
    assert await bench.read("capabilities", "word_bits") == WORD_BITS
    await bench.walk_registers()
