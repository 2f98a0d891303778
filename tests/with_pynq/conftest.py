"""Tests with unmodified PYNQ. It wants an older numpy than the rest, and so they run in an environment of their own,
which tests/system/test_with_pynq.py makes; where there is no pynq they are not collected.

Each test runs twice: on the model of an overlay, and on its RTL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("pynq") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import pynq

    from kronborg.board.pynq.opening import Opened
    from kronborg_hdl.boards import BOARDS, Board
    from kronborg_hdl.overlays.assembly import Assembly
    from kronborg_hdl.overlays.build import described, files
    from kronborg_hdl.overlays.loopback import LoopbackOverlay
    from kronborg_hdl.overlays.pulse_shaper import PulseShaperOverlay
    from kronborg_hdl.overlays.transmitter import TransmitterOverlay
    from kronborg_sim.devices import models
    from kronborg_sim.devices.gateware import RtlGateware
    from kronborg_sim.devices.pynq_device import SimulatedDevice

    BOARD = BOARDS["pynq-z2"]
    SPAN, M = 5, 4
    TRANSMITTER_SPAN = 9
    SMALL = BOARDS["redpitaya-125-14"]
    PREAMBLE, DETECTOR, LINK_SPAN = 509, 64, 17
    PATIENCE = 1 << 20
    """Clocks for which a register is waited for: what is broken ends a test soon, and in a line."""

    @dataclass
    class Loaded:
        """A board with an overlay.

        Attributes:
            device: the board.
            overlay: as PYNQ sees it.
            path: of what was loaded.
        """

        device: SimulatedDevice
        overlay: Any
        path: Path

    def written(overlay: str, core: Assembly, folder: Path, board: Board = BOARD) -> Path:
        """All files of an overlay; the path of its Verilog."""
        for name, text in files(overlay, board, core).items():
            (folder / name).write_text(text)
        return folder / f"kronborg_{overlay}.v"

    @pytest.fixture(scope="session")
    def pulse_shaper_core() -> PulseShaperOverlay:
        return PulseShaperOverlay(BOARD, samples_per_symbol=M, span=SPAN)

    @pytest.fixture(scope="session")
    def transmitter_core() -> TransmitterOverlay:
        return TransmitterOverlay(BOARD, samples_per_symbol=M, span=TRANSMITTER_SPAN, predistortion=False)

    @pytest.fixture(scope="session")
    def pulse_shaper_files(pulse_shaper_core: PulseShaperOverlay, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return written("pulse_shaper", pulse_shaper_core, tmp_path_factory.mktemp("overlay"))

    @pytest.fixture(scope="session")
    def transmitter_files(transmitter_core: TransmitterOverlay, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return written("transmitter", transmitter_core, tmp_path_factory.mktemp("overlay"))

    @pytest.fixture(params=["model", "rtl"])
    def kind(request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def load(kind: str, model: models.Load, path: Path) -> Loaded:
        device = SimulatedDevice(BOARD, {"model": model, "rtl": RtlGateware}[kind])
        device.patience = PATIENCE
        device.activate()
        return Loaded(device, pynq.Overlay(str(path)), path)

    @pytest.fixture
    def transmitting(kind: str, transmitter_core: TransmitterOverlay, transmitter_files: Path) -> Loaded:
        return load(kind, models.transmitter(transmitter_core), transmitter_files)

    @pytest.fixture(scope="session")
    def loopback_core() -> LoopbackOverlay:
        return LoopbackOverlay(SMALL, span=LINK_SPAN, preamble=PREAMBLE, detector_chips=DETECTOR)

    @pytest.fixture(scope="session")
    def loopback_files(loopback_core: LoopbackOverlay, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return written("loopback", loopback_core, tmp_path_factory.mktemp("overlay"), SMALL)

    @pytest.fixture
    def link_on(
        request: pytest.FixtureRequest, loopback_core: LoopbackOverlay, tmp_path: Path
    ) -> Callable[[str], Opened]:
        """Opens the loopback on the model or on the RTL."""

        def opened(kind: str) -> Opened:
            device = SimulatedDevice(SMALL, {"model": models.loopback(loopback_core), "rtl": RtlGateware}[kind])
            device.patience = PATIENCE
            device.activate()
            if kind == "rtl":  # Verilog takes half a minute, and a model needs none
                path = request.getfixturevalue("loopback_files")
            else:
                path = tmp_path / "kronborg_loopback.hwh"
                path.write_text(described("loopback", SMALL)[path.name])
            overlay = pynq.Overlay(str(path))
            return Opened(kind, overlay, pynq.Clocks.fclk0_mhz * 1e6, device, SMALL, {"overlay": "loopback"})

        return opened

    @pytest.fixture
    def linked(kind: str, link_on: Callable[[str], Opened]) -> Opened:
        return link_on(kind)

    @pytest.fixture
    def loaded(kind: str, pulse_shaper_core: PulseShaperOverlay, pulse_shaper_files: Path) -> Loaded:
        return load(kind, models.pulse_shaper(pulse_shaper_core), pulse_shaper_files)
