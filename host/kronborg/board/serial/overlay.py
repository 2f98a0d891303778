"""The loopback on a board without a processor: what drivers find on an overlay of PYNQ's, over a serial line."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from kronborg_hdl.axi.pages import PageMap
from kronborg_hdl.boards.fabric import FabricBoard
from kronborg_hdl.loopback.pages import loopback_pages, loopback_tables

from ..pynq.registers import page_class
from .channels import Channel, Memory, Streams
from .device import Device
from .ports import open_device

HALVINGS = 2
"""Half-band stages of the receiver that is built for boards without a processor."""
INTO, OUT_OF = ("s_axis",), ("m_axis_record", "m_axis", "m_axis_picture")
"""The streams of ``kronborg_hdl.loopback.core.Loopback``, in the bridge's order."""
RECORD, PACKETS = OUT_OF[:2]


class Engine:
    """What stands for a DMA engine that receives.

    Args:
        channel: its stream.
    """

    def __init__(self, channel: Channel) -> None:
        self.recvchannel = channel


class SerialOverlay:
    """The parts of a loopback, by the names that they have on every board.

    Args:
        device: the design.

    Attributes:
        watchdog, fibre_emulator: pages of registers.
        transmitter, receiver: a page each, and in ``pages``, or by their names, those of their parts.
        record, packets: what gives records, and packets.
        device: where buffers are.
        ip_dict: names of the parts.

    Raises:
        BoardError: what answers is no loopback, or one of another version.
    """

    def __init__(self, device: Device) -> None:
        self._design, self._streams = device, Streams(device, (RECORD, PACKETS))
        whole = loopback_pages(halvings=HALVINGS, predistortion=False)
        parts: dict[str, Any] = {}
        for name, table in loopback_tables(halvings=HALVINGS, predistortion=False).items():
            pages = [page for page, _ in whole.pages if page == name or page.startswith(f"{name}_")]
            own, *others = (page_class(whole[page])(device, whole.base(page)) for page in pages)
            for page in (own, *others):
                if "id" in (register.name for register in page.table.registers):
                    page.check_identity()
            parts[name] = own
            if isinstance(table, PageMap):
                inner = dict(zip((page for page, _ in table.pages[1:]), others, strict=True))
                vars(own).update(inner, pages=inner)
        self.watchdog, self.fibre_emulator = parts["watchdog"], parts["fibre_emulator"]
        self.transmitter, self.receiver = parts["transmitter"], parts["receiver"]
        self.record, self.packets = (Engine(self._streams.channels[name]) for name in (RECORD, PACKETS))
        self.device, self.ip_dict = Memory(), {**parts, "record": self.record, "packets": self.packets}

    def download(self) -> None:
        """As a bitstream that was loaded anew: the design is reset, and so are its streams.

        Raises:
            BoardError: the board does not answer.
        """
        self._design.reset()
        self._streams.forget()


class OpenedBoard:
    """A board at a serial port, with the loopback on it. As a context manager it gives the port back.

    Args:
        board: which.
        port: its name; None to look for it.

    Attributes:
        kind: name of the board.
        overlay: what is on it.
        clock_hz: of the design.
        device, clocks: None: it is no simulated board, as far as its host can tell.

    Raises:
        InputError: there is no port, or it cannot be opened.
        BoardError: nobody answers there, or what is no loopback of this version.
    """

    device: Any = None
    clocks: int | None = None

    def __init__(self, board: FabricBoard, port: str | None = None) -> None:
        streams = {"into": INTO, "out_of": OUT_OF}
        self._design = open_device(board, {"baud": board.baud, "streams": streams}, port)
        self.kind, self.clock_hz = board.name, float(board.clock_hz)
        try:
            self.overlay: Any = SerialOverlay(self._design)
        except BaseException:
            self._design.close()
            raise

    def __enter__(self) -> OpenedBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._design.close()
