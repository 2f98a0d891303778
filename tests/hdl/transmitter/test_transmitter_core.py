"""The assembly's RTL against its model, in one build for each number of lanes. Each scenario begins with a reset."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.dsp.formats import SAMPLE
from kronborg_hdl.dsp.nco import ANGLE_BITS, COSINE, PHASE_BITS
from kronborg_hdl.modulation.alphabet.model import shaped_qam
from kronborg_hdl.modulation.entropy.health.model import START_UP_SAMPLES
from kronborg_hdl.modulation.entropy.model import Entropy, pack
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.gaussian.model import MAXIMUM_DEVIATION
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper
from kronborg_hdl.modulation.predistortion.model import IMPULSE, Predistortion
from kronborg_hdl.modulation.pulse_shaper.core import PulseShaper as PulseShaperCore
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot
from kronborg_hdl.modulation.symbol_record.model import Flag
from kronborg_hdl.transmitter.core import Transmitter as TransmitterCore
from kronborg_hdl.transmitter.model import SentFrame, Transmitter
from kronborg_hdl.transmitter.registers import Symbols
from kronborg_sim.benches.transmitter import (
    CONVERTER,
    MEMORY,
    QRNG,
    Received,
    TransmitterBench,
    keystream,
    random_settings,
)
from kronborg_sim.rtl.model import RtlModel
from kronborg_sim.rtl.simulation import RtlError

Words = np.ndarray

SETTLED = 1500
"""Clocks after which nothing is under way any more."""


@dataclass
class Stage:
    """What a scenario has at hand: the transmitter after a reset, and random numbers of its own."""

    bench: TransmitterBench
    rng: np.random.Generator

    @property
    def rtl(self) -> RtlModel:
        return self.bench.rtl

    @property
    def symbols_per_clock(self) -> int:
        return self.bench.core.pulse_shaper.symbols_per_clock

    def read(self, page: str, register: str, field: str) -> int:
        return self.rtl.read((page, register), field)

    def settings(self, payload: int, *, vacuum: int = 0) -> Transmitter:
        """Random ones, for some beats of payload and of vacuum."""
        n = self.symbols_per_clock
        return random_settings(self.bench.core, self.rng, payload * n, vacuum=vacuum * n)

    def key(self) -> Words:
        return self.rng.integers(0, 2**32, 8, np.uint32)

    def samples(self, count: int) -> Words:
        """Of a good quantum random number generator: whole beats."""
        bits = self.bench.core.entropy.health.sample_bits
        return self.rng.integers(0, 2**bits, count, np.uint16)

    def feed(self, samples: Words) -> None:
        self.rtl.send(QRNG, pack(samples, self.bench.core.entropy.health.sample_bits))

    def start(self, model: Transmitter, frames: int) -> Words:
        """Configure, seed and run; returns the words for so many frames."""
        self.bench.configure(model)
        self.bench.begin_entropy(Source.HOST)
        key = self.key()
        epoch = self.bench.seed(key)
        self.bench.run(True)
        return keystream(key, epoch, frames * model.frame.payload)

    def one_frame(self) -> None:
        """Send one frame. The source is keyed."""
        self.bench.run(True)
        self.bench.wait_until("frame_controller", "control", "active", 1)
        self.bench.run(False)

    def expect_nothing(self, clocks: int = SETTLED) -> None:
        self.rtl.run(clocks)
        assert not self.rtl.waiting(CONVERTER)
        assert not self.rtl.waiting(MEMORY)
        assert self.bench.waiting() == (0, 0)


def expect(received: Received, sent: list[SentFrame], *, flags: Flag | None = None) -> None:
    """Frames are the model's; so are their flags, unless others are given."""
    assert len(received.samples) == len(received.packets) == len(sent)
    for number, frame in enumerate(sent):
        packet = received.packets[number]
        np.testing.assert_array_equal(received.samples[number], frame.samples, f"samples of frame {number}")
        np.testing.assert_array_equal(packet.symbols, frame.packet.symbols, f"record of frame {number}")
        assert packet.frame == frame.packet.frame
        assert packet.flags == (frame.packet.flags if flags is None else flags), f"{packet.flags!r}, frame {number}"


SCENARIOS: list[Callable[[Stage], None]] = []


def scenario(function: Callable[[Stage], None]) -> Callable[[Stage], None]:
    SCENARIOS.append(function)
    return function


@scenario
def every_lane_has_a_sample_in_every_clock_from_frame_to_frame(stage: Stage) -> None:
    frames = 4
    model = stage.settings(60, vacuum=3)
    words = stage.start(model, frames)
    received = stage.bench.receive(frames)
    expect(received, list(model.run(words, frames)), flags=Flag(0))
    assert set(np.diff(received.clocks.astype(np.int64)).tolist()) == {1}
    assert len(received.clocks) * stage.bench.core.pulse_shaper.lanes == frames * model.samples
    assert stage.read("transmitter", "gaps", "count") == 0
    assert stage.read("symbol_record", "status", "held") == 0, "the shortest head is too short"


@scenario
def pauses_change_no_word(stage: Stage) -> None:
    frames = 5
    for seed, (converter, memory) in enumerate(((0.5, 0.0), (0.85, 0.5), (0.2, 0.3))):
        stage.bench.reset()
        model = stage.settings(40)
        words = stage.start(model, frames)
        for stream, chance in ((CONVERTER, converter), (MEMORY, memory)):
            stage.rtl.pause(stream, chance, seed=seed)
        received = stage.bench.receive(frames)
        expect(received, list(model.run(words, frames)), flags=Flag(0))
        assert stage.read("symbol_record", "status", "held") == 0, "the shortest head is too short"
        assert stage.read("transmitter", "status", "gap") == 0


@scenario
def frames_are_counted_and_numbered(stage: Stage) -> None:
    model = stage.settings(20)
    stage.rtl.write(("frame_controller", "next_frame"), number=2**32 - 2)
    words = stage.start(model, 4)
    received = stage.bench.receive(4)
    stage.bench.run(False)
    stage.rtl.run(SETTLED)
    more, packets = stage.bench.waiting()
    assert more == packets
    expect(received, list(model.run(words, 4, number=2**32 - 2)))
    for page, register in (("transmitter", "frames"), ("symbol_record", "frames_good")):
        assert stage.read(page, register, "count") == 4 + more
    assert stage.read("symbol_record", "recorded_low", "count") == (4 + more) * model.frame.payload
    stage.rtl.write(("transmitter", "control"), clear_counters=1)
    assert stage.read("transmitter", "frames", "count") == 0


@scenario
def new_settings_are_used_from_a_stop_on(stage: Stage) -> None:
    model = stage.settings(20)
    words = stage.start(model, 64)
    stage.bench.receive(1)
    stage.bench.run(False)
    stage.rtl.run(SETTLED)
    sent = 1 + stage.bench.waiting()[0]
    stage.bench.receive(sent - 1)
    other = replace(stage.settings(33), source=model.source)
    stage.bench.configure(other)
    stage.bench.run(True)
    used = 2 * sent * model.frame.payload
    expect(stage.bench.receive(3), list(other.run(words[used:], 3, number=sent)))


@scenario
def frames_without_payload_have_a_trailer_alone(stage: Stage) -> None:
    model = stage.settings(0, vacuum=20)
    stage.start(model, 1)
    received = stage.bench.receive(3)
    expect(received, list(model.run(np.zeros(0, np.uint32), 3)), flags=Flag(0))


@scenario
def an_alphabet_is_a_source_like_any_other(stage: Stage) -> None:
    model = replace(stage.settings(30), source=shaped_qam(64, 3000, 0.05))
    words = stage.start(model, 3)
    expect(stage.bench.receive(3), list(model.run(words, 3)), flags=Flag(0))


@scenario
def keys_of_the_stream_follow_each_other_without_a_gap(stage: Stage) -> None:
    blocks_per_key, keys = 100, 6
    sample_bits = stage.bench.core.entropy.health.sample_bits
    model = stage.settings(150)
    stage.bench.configure(model)
    stage.bench.run(True)
    epoch = stage.read("entropy", "epoch_low", "count")
    stage.bench.begin_entropy(Source.STREAM, instance=7, blocks_per_key=blocks_per_key)
    samples = stage.samples(START_UP_SAMPLES + keys * 256 // sample_bits)
    stage.feed(samples)
    words = Entropy(7, blocks_per_key).stream(
        pack(samples[START_UP_SAMPLES:], sample_bits), epoch, keys * blocks_per_key
    )
    frames = len(words) // (2 * model.frame.payload)
    received = stage.bench.receive(frames)
    expect(received, list(model.run(words, frames)), flags=Flag(0))
    assert frames * model.frame.payload > 8 * blocks_per_key, "no key was changed"
    assert set(np.diff(received.clocks.astype(np.int64)).tolist()) == {1}


@scenario
def an_idle_stream_starves_symbols_and_not_the_converter(stage: Stage) -> None:
    frames = 4
    model = stage.settings(80)
    n = stage.symbols_per_clock
    stage.bench.configure(model)
    stage.bench.run(True)
    stage.rtl.pause(QRNG, 0.9)
    stage.bench.begin_entropy(Source.DIRECT)
    sample_bits = stage.bench.core.entropy.health.sample_bits
    samples = stage.samples(START_UP_SAMPLES + 64 * frames * model.frame.payload // sample_bits)
    stage.feed(samples)
    received = stage.bench.receive(frames)
    # A whole beat of zeros is no random word's: it says where the source had none.
    record = np.concatenate([packet.symbols for packet in received.packets])
    starved = np.repeat(~record.reshape(-1, 2 * n).any(axis=1), n)
    words = pack(samples[START_UP_SAMPLES:], sample_bits)
    sent = list(model.run(words, frames, starved=starved))
    expect(received, sent)
    assert 0 < np.count_nonzero(starved) < len(starved)
    # A frame may begin later, but none of them has a gap.
    beats = model.samples // stage.bench.core.pulse_shaper.lanes
    assert set(np.diff(received.clocks.astype(np.int64).reshape(frames, beats)).ravel().tolist()) == {1}
    assert stage.read("transmitter", "gaps", "count") == 0
    assert stage.read("frame_controller", "status", "starved") == 1
    assert stage.read("symbol_record", "status", "starved") == 1
    assert stage.read("symbol_record", "frames_marked", "count") >= sum(frame.packet.flags != 0 for frame in sent)


@scenario
def a_key_that_is_spent_within_a_frame_marks_it_and_no_other_begins(stage: Stage) -> None:
    model = stage.settings(100)
    blocks = (2 * model.frame.payload + model.frame.payload // 2) // 8
    stage.bench.configure(model)
    stage.bench.begin_entropy(Source.HOST, blocks_per_key=blocks)
    key = stage.key()
    words = Entropy(blocks_per_key=blocks).host(key, stage.bench.seed(key), 10**6)
    stage.bench.run(True)
    sent = list(model.run(words, 3))
    assert [frame.packet.flags for frame in sent] == [0, 0, Flag.STARVED]
    expect(stage.bench.receive(3), sent)
    stage.expect_nothing()
    assert stage.read("symbol_record", "frames_marked", "count") == 1
    # Another key, and frames go on; the counter tells how many symbols there should have been.
    missing = stage.read("frame_controller", "starved_symbols", "count")
    assert missing == 3 * model.frame.payload - len(words) // 2
    key = stage.key()
    words = Entropy(blocks_per_key=blocks).host(key, stage.bench.seed(key), 10**6)
    expect(stage.bench.receive(2), list(model.run(words, 2, number=3)), flags=Flag(0))


@scenario
def a_failed_health_test_ends_symbols_within_the_frame_and_marks_it(stage: Stage) -> None:
    sample_bits = stage.bench.core.entropy.health.sample_bits
    model = stage.settings(600)
    stage.bench.configure(model)
    stage.bench.run(True)
    for number in (0, 1):
        epoch = stage.read("entropy", "epoch_low", "count")
        stage.bench.begin_entropy(Source.STREAM)
        samples = stage.samples(START_UP_SAMPLES + 256 // sample_bits)
        words = Entropy().stream(pack(samples[START_UP_SAMPLES:], sample_bits), epoch, 10_000)
        stage.feed(samples)
        head = model.frame.head * model.shaper.samples_per_symbol // stage.bench.core.pulse_shaper.lanes
        stage.rtl.wait(CONVERTER, beats=head + 200)
        stage.feed(np.zeros(2048, np.uint16))
        received = stage.bench.receive(1)
        record = received.packets[0].symbols
        good = int(np.flatnonzero(record.any(axis=1))[-1]) + 1
        assert stage.symbols_per_clock * 50 < good < model.frame.payload, "the stop did not come within the payload"
        good = -(-good // stage.symbols_per_clock) * stage.symbols_per_clock
        sent = list(model.run(words[: 2 * good], 1, number=number))
        expect(received, sent, flags=Flag.STARVED | Flag.ENTROPY)
        stage.expect_nothing()
        assert stage.read("entropy", "control", "stopped") == 1
        assert stage.read("entropy", "status", "repetition_failed") == 1
        assert stage.read("symbol_record", "status", "entropy") == 1
        stage.rtl.received(QRNG)
    # A new key of the host's does not start it again; a write to `source` does, and nothing old comes.
    stage.bench.begin_entropy(Source.HOST)
    key = stage.key()
    words = keystream(key, stage.bench.seed(key), 2 * model.frame.payload)
    expect(stage.bench.receive(2), list(model.run(words, 2, number=2)), flags=Flag(0))


@scenario
def a_change_of_entropy_within_a_frame_marks_it_and_mixes_no_keys(stage: Stage) -> None:
    model = stage.settings(300)
    first = stage.start(model, 4)
    stage.rtl.wait(CONVERTER, beats=model.samples // stage.bench.core.pulse_shaper.lanes // 2)
    stage.bench.begin_entropy(Source.HOST)
    key = stage.key()
    second = keystream(key, stage.bench.seed(key), 8 * model.frame.payload)
    received = stage.bench.receive(4)
    marked = [packet.flags for packet in received.packets]
    # The frame that was under way, and the next one if it had already entered.
    assert marked[0] & Flag.ENTROPY
    assert marked[-1] == 0
    symbols, rest = model.symbols(first), model.symbols(second)
    record = np.concatenate([packet.symbols for packet in received.packets])
    old = int(np.argmin((record == symbols[: len(record)]).all(axis=1)))
    gap = int(np.argmax(record[old:].any(axis=1)))
    assert old
    assert gap % stage.symbols_per_clock == 0
    np.testing.assert_array_equal(record[old + gap :], rest[: len(record) - old - gap])


@scenario
def words_that_are_clipped_behind_the_record_mark_the_frame(stage: Stage) -> None:
    plain = stage.settings(40)
    loud = {
        "pulse_shaper": replace(plain, shaper=replace(plain.shaper, shift=11), pilots=()),
        "shift_and_pilots": replace(plain, pilots=(Pilot(123456789, 32767), Pilot(987654321, 32767))),
    }
    if plain.predistortion is not None:
        steep = replace(plain.predistortion, taps=3 * plain.predistortion.taps // 2)
        loud["predistortion"] = replace(plain, predistortion=steep, pilots=(Pilot(1 << 27, 25_000),))
    for page, model in loud.items():
        stage.bench.reset()
        stage.bench.configure(model)
        stage.bench.begin_entropy(Source.HOST)
        key = stage.key()
        words = keystream(key, stage.bench.seed(key), model.frame.payload)
        stage.one_frame()
        sent = list(model.run(words, 1))
        assert sent[0].saturated, f"nothing is clipped in {page}"
        expect(stage.bench.receive(1), sent, flags=Flag.SATURATED)
        assert stage.read(page, "saturations", "count") > 0
        assert stage.read("symbol_record", "frames_marked", "count") == 1


@scenario
def a_frame_is_marked_by_its_last_sample_as_well(stage: Stage) -> None:
    plain = stage.settings(20)
    taps = np.zeros_like(plain.shaper.taps)
    taps[-1] = 2**14
    frame = replace(
        plain.frame,
        preamble=plain.frame.preamble // 2,
        header_symbol=(5000, 5000),
        calibration_symbol=(-30_000, 30_000),
    )
    quiet = replace(plain, source=shaped_qam(4, 1000, 0.0), frame=frame, pilots=(), shift_word=0, predistortion=None)
    if isinstance(plain.shaper, InterpolatingShaper):
        # Behind the last symbol there is silence: only a pilot can be clipped there. One is a constant just below full
        # scale; the other, of two words, is slow, and is more than one and a half of them in the last sample only.
        step = 1 << (PHASE_BITS - ANGLE_BITS)
        angle = 3 * len(COSINE) // 4 + int(np.argmax(COSINE[3 * len(COSINE) // 4 :] >= 3 * 2**13))
        phase = (angle * step - (plain.samples - 1) * step) % 2**PHASE_BITS
        pilots = (Pilot(0, SAMPLE.maximum), Pilot(step, 2, phase))
        model, clipped = replace(quiet, shaper=replace(plain.shaper, taps=0 * taps), pilots=pilots), 1
    else:
        steep = Predistortion(taps=3 * IMPULSE // 2)
        model = replace(quiet, shaper=replace(plain.shaper, taps=taps, shift=14), predistortion=steep)
        clipped = 2 * stage.symbols_per_clock
    stage.bench.configure(model)
    stage.bench.begin_entropy(Source.HOST)
    key = stage.key()
    words = keystream(key, stage.bench.seed(key), model.frame.payload)
    stage.one_frame()
    sent = list(model.run(words, 1))
    assert sent[0].saturated == clipped, "clipped are the last samples of calibration symbols, or of a pilot"
    expect(stage.bench.receive(1), sent, flags=Flag.SATURATED)


@scenario
def memory_that_takes_nothing_leaves_a_gap_that_marks_the_frame(stage: Stage) -> None:
    model = stage.settings(stage.bench.core.symbol_record.depth + 200)
    words = stage.start(model, 3)
    stage.rtl.pause(MEMORY, 1.0)
    stage.rtl.run(4 * model.samples // stage.bench.core.pulse_shaper.lanes)
    assert not stage.rtl.waiting(MEMORY)
    assert stage.read("symbol_record", "status", "held") == 1
    assert stage.read("transmitter", "status", "gap") == 1
    stage.rtl.pause(MEMORY, 0.0)
    received = stage.bench.receive(3)
    sent = list(model.run(words, 3))
    for number in range(3):
        np.testing.assert_array_equal(received.samples[number], sent[number].samples)
        np.testing.assert_array_equal(received.packets[number].symbols, sent[number].packet.symbols)
    assert [packet.flags for packet in received.packets] == [Flag.GAP, 0, 0]
    waited = int(np.max(np.diff(received.clocks.astype(np.int64))))
    assert stage.read("transmitter", "gaps", "count") == waited - 1


@scenario
def a_scale_that_is_refused_stops_symbols(stage: Stage) -> None:
    model = stage.settings(300)
    words = stage.start(model, 8)
    stage.rtl.wait(CONVERTER, beats=model.samples // stage.bench.core.pulse_shaper.lanes // 2)
    stage.rtl.write(("gaussian", "scale"), deviation=MAXIMUM_DEVIATION + 1)
    received = stage.bench.receive(1)
    record = received.packets[0].symbols
    good = int(np.argmin(record.any(axis=1)))
    expect(received, list(model.run(words[: 2 * good], 1)), flags=Flag.STARVED)
    stage.expect_nothing()
    assert stage.read("gaussian", "control", "scale_valid") == 0
    assert stage.read("gaussian", "status", "scale_refused") == 1
    stage.rtl.write(("gaussian", "scale"), deviation=model.source.deviation)
    expect(stage.bench.receive(2), list(model.run(words[2 * good :], 2, number=1)), flags=Flag(0))


@scenario
def another_source_comes_with_the_next_frame(stage: Stage) -> None:
    gaussian = stage.settings(300)
    alphabet = replace(gaussian, source=shaped_qam(256, 2500, 0.05))
    words = stage.start(alphabet, 12)
    stage.bench.receive(1)
    used, number = 2 * alphabet.frame.payload, 1
    for model, select in ((gaussian, Symbols.GAUSSIAN), (alphabet, Symbols.ALPHABET)):
        before = alphabet if model is gaussian else gaussian
        if model is gaussian:
            stage.rtl.write(("gaussian", "scale"), deviation=gaussian.source.deviation)
        stage.rtl.wait(CONVERTER, beats=before.samples // stage.bench.core.pulse_shaper.lanes // 2)
        stage.rtl.write(("transmitter", "source"), select=select)
        assert stage.read("transmitter", "control", "switching") == 1
        assert stage.read("transmitter", "source", "active") != select
        expect(stage.bench.receive(1), list(before.run(words[used:], 1, number=number)), flags=Flag(0))
        used, number = used + 2 * before.frame.payload, number + 1
        received = stage.bench.receive(1)
        assert stage.read("transmitter", "control", "switching") == 0
        assert stage.read("transmitter", "source", "active") == select
        # Words that the old source still held are lost: whole beats, and no more than there are places.
        n = stage.symbols_per_clock
        lost = [
            skip
            for skip in range(0, 200 * n, n)
            if np.array_equal(model.symbols(words[used + 2 * skip :])[: 4 * n], received.packets[0].symbols[: 4 * n])
        ]
        assert len(lost) == 1
        used += 2 * lost[0]
        expect(received, list(model.run(words[used:], 1, number=number)), flags=Flag(0))
        used, number = used + 2 * model.frame.payload, number + 1


@scenario
def a_reset_within_a_frame_leaves_nothing_of_it(stage: Stage) -> None:
    for beats in (0, 10, 77):
        model = stage.settings(100)
        words = stage.start(model, 1)
        head = model.frame.head * model.shaper.samples_per_symbol // stage.bench.core.pulse_shaper.lanes
        stage.rtl.wait(CONVERTER, beats=head + beats + 1)
        key, epoch = stage.key(), stage.read("entropy", "epoch_low", "count")
        stage.bench.reset()
        assert stage.read("entropy", "control", "keyed") == 0
        assert stage.read("entropy", "source", "mode") == Source.OFF
        stage.bench.run(True)
        stage.expect_nothing(400)
        stage.bench.configure(model)
        stage.bench.run(True)
        stage.expect_nothing(400)
        stage.bench.begin_entropy(Source.HOST)
        assert stage.bench.seed(key) == epoch, "the nonce went back"
        words = keystream(key, epoch, 2 * model.frame.payload)
        expect(stage.bench.receive(2), list(model.run(words, 2)), flags=Flag(0))


@scenario
def a_head_that_is_too_short_is_refused(stage: Stage) -> None:
    model = stage.settings(20)
    words = stage.start(model, 64)
    stage.bench.receive(1)
    assert stage.read("frame_controller", "head", "minimum") == stage.bench.core.minimum_head
    stage.rtl.write(("frame_controller", "guard"), length=0)
    stage.rtl.write(("frame_controller", "control"), apply=1, run=1)
    stage.bench.wait_until("frame_controller", "status", "settings_refused", 1)
    expect(stage.bench.receive(2), list(model.run(words, 3))[1:])


@scenario
def nothing_leaves_before_every_part_is_set_up_and_the_source_is_keyed(stage: Stage) -> None:
    model = stage.settings(20)
    stage.bench.run(True)
    stage.expect_nothing(300)
    stage.bench.configure(model)
    stage.bench.run(True)
    stage.expect_nothing(300)
    stage.bench.begin_entropy(Source.HOST)
    stage.expect_nothing(300)
    key = stage.key()
    words = keystream(key, stage.bench.seed(key), model.frame.payload)
    expect(stage.bench.receive(1), list(model.run(words, 1)))


@scenario
def every_part_answers_on_its_own_page(stage: Stage) -> None:
    pages = stage.bench.core.registers
    shaper_id = "KBPS" if isinstance(stage.bench.core.pulse_shaper, PulseShaperCore) else "KBIS"
    names = [bytes.fromhex(f"{stage.read(name, 'id', 'word'):08x}").decode() for name, _ in pages.pages]
    assert names == ["KBTX", "KBEN", "KBGS", "KBAL", "KBFC", "KBSR", shaper_id, "KBSP", "KBPD"][: len(names)]
    core = stage.bench.core
    shaper = core.pulse_shaper
    built = {"lanes": shaper.lanes, "samples_per_symbol": shaper.samples_per_symbol, "span": shaper.span}
    for page in ("transmitter", "pulse_shaper"):
        assert {field: stage.read(page, "capabilities", field) for field in built} == built
    assert stage.read("entropy", "capabilities", "rounds_per_clock") == core.entropy.expander.rounds_per_clock
    for word in stage.key().tolist():
        stage.rtl.write(("entropy", "key"), word=word)
    assert stage.rtl.read_at(pages.offset("entropy", "key"))[0] == 0


@dataclass(frozen=True)
class Build:
    """One instance. Together they have 1 to 3 clocks per symbol, 1 and 2 symbols per clock, and parts left out."""

    lanes: int
    samples_per_symbol: int
    span: int
    predistortion: bool = False
    sample_bits: int = 8

    def __str__(self) -> str:
        return f"{self.lanes}_lanes"


BUILDS = (
    Build(1, 3, 4, predistortion=True),
    Build(2, 4, 2, sample_bits=16),
    Build(4, 2, 3),
    Build(8, 8, 2),
    Build(16, 16, 2),
)


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_core_equals_its_model(build: Build) -> None:
    core = TransmitterCore(
        lanes=build.lanes,
        samples_per_symbol=build.samples_per_symbol,
        span=build.span,
        predistortion=build.predistortion,
        sample_bits=build.sample_bits,
    )
    bench = TransmitterBench(core, RtlModel(Skin(core).to_verilog("transmitter"), "transmitter", core.registers))
    failed = []
    for number, function in enumerate(SCENARIOS):
        for stream in (CONVERTER, MEMORY, QRNG):
            bench.rtl.pause(stream, 0.0)
        bench.reset()
        try:
            function(Stage(bench, np.random.default_rng([build.lanes, number])))
        except (AssertionError, RtlError) as error:
            failed.append(f"{function.__name__}: {error}")
    assert not failed, "\n\n".join(failed)
