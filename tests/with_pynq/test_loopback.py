"""Both ends of a link on one board, driven by the host through PYNQ: on the overlay's model and on its RTL."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from kronborg.board.loopback import LoopbackPlan
from kronborg.board.pynq.board import Board, Exchanged
from kronborg.board.pynq.link_selftest import plan as plan_of
from kronborg.board.pynq.reference import Reference
from kronborg.board.scenario import Scenario
from kronborg.console.progress import RunProgress
from kronborg.errors import BoardError, InputError
from kronborg.link import on_board
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS

KEY = np.arange(1, KEY_WORDS + 1, dtype=np.uint32) * np.uint32(0x01020304)
PAYLOAD, NUMBER, FRAMES = 1024, 2**32 - 2, 8


@pytest.fixture
def board(linked) -> Board:
    return Board(linked, silence_s=0.002, timeout_s=300.0)


@pytest.fixture
def plan(linked) -> LoopbackPlan:
    return replace(plan_of(linked.overlay, 3), payload=PAYLOAD, vacuum=256)


def frames(board: Board, count: int) -> list[Exchanged]:
    return [frame for frame, _ in zip(board.frames(), range(count), strict=False)]


def test_both_ends_of_every_frame_are_the_models(board: Board, plan: LoopbackPlan) -> None:
    with board:
        board.configure(plan.settings)
        reference = Reference(plan.settings, KEY, board.start(KEY, NUMBER), NUMBER)
        came = frames(board, FRAMES)
        for frame in came:
            reference.take(frame)
        reference.finish()
    assert [frame.sent.frame for frame in came] == [(NUMBER + k) % 2**32 for k in range(FRAMES)]
    assert came[-1].good
    assert reference.wrong == 0
    assert reference.words > 3 * FRAMES * PAYLOAD
    assert board.dma_words >= 2 * FRAMES * PAYLOAD
    assert not board.transmitter._registers.frame_controller.active
    assert not board.receiver.registers.run


def test_a_board_that_is_loaded_anew_gives_the_same_words(board: Board, plan: LoopbackPlan) -> None:
    came = []
    for _ in range(2):
        board.reset()
        board.configure(plan.settings)
        board.start(KEY)
        came.append(frames(board, 3))
        board.stop()
    for one, other in zip(*came, strict=True):
        np.testing.assert_array_equal(one.sent.symbols, other.sent.symbols)
        assert one.received is not None
        assert other.received is not None
        np.testing.assert_array_equal(one.received.words(), other.received.words())


def test_a_host_that_is_gone_leaves_the_link_stopped(board: Board, plan: LoopbackPlan) -> None:
    """With the frames under way: what the last ones wait for nobody takes."""
    board.configure(plan.settings)
    board.start(KEY)
    frames(board, 2)
    gateware = board.opened.device.gateware
    gateware.run(220_000)
    assert board.opened.overlay.watchdog.happened() == ["expired"]
    sent = board.transmitter._registers.frames
    gateware.run(100_000)
    assert board.transmitter._registers.frames == sent
    with pytest.raises(BoardError, match="the watch-dog has stopped the board"):
        frames(board, 50)
    board.stop()
    assert not board.transmitter._registers.frame_controller.active


def test_the_power_meter_measures_vacuum_and_darkness(board: Board, plan: LoopbackPlan) -> None:
    variances = []
    for deviation in (plan.fibre.deviation, plan.fibre.deviation // 2):
        noise = replace(plan.fibre, amplitude=0, deviation=deviation, seed=9)
        measured = board.measure(plan.settings, noise, KEY, 4000)
        assert 4000 <= measured.symbols < 8000
        variances.append(sum(measured.variance) / 2)
    # 4000 complex words know their variance to 1.6 %.
    assert variances[0] / variances[1] == pytest.approx(4, rel=0.12)


def test_a_window_of_the_power_meter_that_was_lost_is_made_good(board: Board, plan: LoopbackPlan, monkeypatch) -> None:
    """A host that was busy elsewhere looks again when three windows have ended."""
    looked, measurement = itertools.count(), board.receiver.measurement
    monkeypatch.setattr(board.receiver, "measurement", lambda: None if next(looked) < 8 else measurement())
    assert 4000 <= board.measure(plan.settings, replace(plan.fibre, amplitude=0), KEY, 4000).symbols < 8000
    assert "lost" in board.receiver.registers.power_meter.happened()


def test_a_power_meter_that_does_not_measure_is_explained(board: Board, plan: LoopbackPlan, monkeypatch) -> None:
    monkeypatch.setattr(board.receiver, "begin_measurement", lambda symbols: None)
    monkeypatch.setattr(board.receiver, "measurement", lambda: None)
    with pytest.raises(BoardError, match="the power meter does not measure 4000 symbols; receiver: runs, pilots"):
        board.measure(plan.settings, replace(plan.fibre, amplitude=0), KEY, 4000)


def test_a_run_on_the_rtl_has_the_symbols_and_the_calibration_of_a_run_on_the_model(link_on, monkeypatch) -> None:
    """So both make the same key."""
    monkeypatch.setattr(on_board, "CALIBRATION_SYMBOLS", 5000)
    monkeypatch.setattr(on_board, "DARK_SYMBOLS", 2000)
    runs = []
    for kind in ("model", "rtl"):
        opened = link_on(kind)
        # Dark noise is as small as the emulator makes it.
        small = replace(plan_of(opened.overlay, 3), payload=PAYLOAD, vacuum=256, shot_noise_words=150.0)
        monkeypatch.setattr(on_board, "plan_for", lambda *_, plan=small, **__: plan)
        runs.append(
            on_board.exchange_on_board(
                opened, Scenario(), 2.0, 20.0, symbols=4 * PAYLOAD, seed=3, progress=RunProgress(plain=True)
            )
        )
    model, rtl = runs
    assert model.shot_noise == rtl.shot_noise
    assert list(model.sent) == list(rtl.sent)
    assert len(model.received) >= 3
    assert list(model.received) == list(rtl.received)
    for number in model.sent:
        np.testing.assert_array_equal(model.sent[number], rtl.sent[number])
    for number in model.received:
        np.testing.assert_array_equal(model.received[number], rtl.received[number])
    assert [run.figures.board for run in runs] == ["model", "rtl"]
    assert all(run.figures.bit_exact_with_model for run in runs)


def test_a_packet_that_does_not_come_is_explained(board: Board, plan: LoopbackPlan) -> None:
    board.configure(plan.settings)
    board.receiver._timeout_s = 0.05
    board.receiver.start()
    taker = board.receiver.taker()
    with pytest.raises(BoardError) as error:
        board.receiver.take(taker, board.transmitter.alive, more=False)
    said = str(error.value)
    assert said.startswith("packets: the transfer does not end within 0.05 s: receive_control 0x")
    assert "receiver: runs, pilots not locked, frames good 0, marked 0, missing 0, overruns" in said
    assert "\n" not in said


def test_what_the_receiver_is_not_built_for_is_refused_in_a_line(board: Board, plan: LoopbackPlan) -> None:
    with pytest.raises(InputError, match=r"settings for 521 chips of a preamble: this bitstream has 509"):
        board.receiver.configure(replace(plan, preamble=521).receiver)
    with pytest.raises(InputError, match="a payload of 1023 symbols: memory's words have 64 bits, so make it even"):
        board.receiver.configure(replace(plan, payload=PAYLOAD - 1).receiver)
    with pytest.raises(InputError, match="the receiver has no settings: call configure"):
        board.receiver.start()
    with pytest.raises(InputError, match="a measurement of 0 symbols"):
        board.receiver.begin_measurement(0)
