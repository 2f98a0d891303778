"""The AXI edge of a core: flat names, one clock, one active-low reset; and its Verilog for a block design."""

from __future__ import annotations

from typing import Any, Protocol

from amaranth import Cat, ClockDomain, Module, Value
from amaranth.back import rtlil, verilog
from amaranth.hdl import Elaboratable
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2

from .bank import axi4_lite, register_bank
from .pages import PageMap
from .registers import RegisterMap


class Core(Protocol):
    """What a skin fits: any component with the port of its registers (``axi.bank.register_port``)."""

    registers: RegisterMap | PageMap
    port: wiring.PureInterface
    signature: wiring.Signature


def axi_stream(data_bits: int, *, user_bits: int = 0, last: bool = True) -> wiring.Signature:
    """AXI4-Stream as the source has it, with TUSER and TLAST where wanted.

    Raises:
        ValueError: TDATA is not whole bytes.
    """
    if data_bits % 8:
        raise ValueError(f"a stream of {data_bits} bits: AXI4-Stream carries whole bytes")
    members = {"tdata": Out(data_bits), "tvalid": Out(1), "tready": In(1)}
    if user_bits:
        members["tuser"] = Out(user_bits)
    if last:
        members["tlast"] = Out(1)
    return wiring.Signature(members)


def _channel(payload: Any) -> dict[str, list[Value]]:
    """The words of a payload that belong to each signal of AXI4-Stream, the lowest first."""
    layout = payload.shape()
    if not isinstance(layout, data.StructLayout):
        return {"tdata": [Value.cast(payload)]}
    fields = {name: payload[name] for name, _ in layout}
    channel = {"tdata": _rails(fields.pop("words"))}
    if "last" in fields:
        channel["tlast"] = [Value.cast(fields.pop("last"))]
    if fields:
        channel["tuser"] = [Cat(*(Value.cast(field) for field in fields.values()))]
    return channel


def _rails(words: Any) -> list[Value]:
    """I and Q of each word, where words are complex; else all words as they are."""
    layout = words.shape()
    if isinstance(layout, data.ArrayLayout) and isinstance(layout.elem_shape, data.StructLayout):
        return [word[rail] for word in words for rail, _ in layout.elem_shape]
    return [Value.cast(words)]


def _edge_bits(word: Value) -> int:
    """Width of a word in TDATA: of signed words 8, 16, 32 or 64 bits, so that memory holds integers."""
    return len(word) if not word.shape().signed else max(8, 1 << ceil_log2(len(word)))


def memory_words(payload: Any) -> Value:
    """The bits of a payload's words as they lie in memory, the oldest word lowest: each rail sign-extended.

    Real words are a row of 16 bits each as they are.
    """
    rails = []
    for word in _channel(payload)["tdata"]:
        missing = _edge_bits(word) - len(word)
        rails.append(Cat(word, word[-1].replicate(missing)))
    return Cat(rails)


class Skin(wiring.Component):
    """AXI4-Stream for each stream of a core, AXI4-Lite for its registers, and its other signals as they are.

    TDATA is the payload's ``words``, or the payload itself if that is not a structure: the oldest word lowest, I below
    Q, each rail in the next wider integer of 8, 16, 32 or 64 bits: a word that goes out is sign-extended, of one that
    goes in the bits above are not looked at. TLAST is the payload's ``last``, and TUSER all its other fields in their
    order, the first lowest; each of them is there only if the payload has it. There is no TKEEP: every beat is whole.

    Members:
        aclk: clock of everything.
        aresetn: reset, active low, synchronous.
        s_axi: AXI4-Lite slave of the core's registers, with one page or as many as they have.
        s_axis: AXI4-Stream to the core's ``i``; ``s_axis_<name>`` to another stream that goes in.
        m_axi: AXI4 master of the core's ``memory``; ``m_axi_<name>`` of its ``memory_<name>``.
        m_axis: AXI4-Stream from the core's ``o``; ``m_axis_<name>`` from another stream that comes out.
        <name>: any other signal of the core.

    Raises:
        ValueError: a stream whose TDATA would not be whole bytes.
        TypeError: a member of the core that is neither stream nor signal.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._streams: dict[str, str] = {}
        self._masters: dict[str, str] = {}
        self._signals: list[str] = []
        members = {"aclk": In(1), "aresetn": In(1)}
        for name, member in core.signature.members.items():
            if name == "port":
                continue
            if name.partition("_")[0] == "memory":
                self._masters[name] = edge = f"m_axi{name.removeprefix('memory')}"
                members[edge] = member
                continue
            if member.dimensions or not (member.is_port or isinstance(member.signature, stream.Signature)):
                raise TypeError(
                    f"{type(core).__name__}.{name} is neither a stream nor a signal: a skin does not fit it"
                )
            if member.is_port:
                self._signals.append(name)
                members[name] = member
                continue
            prefix, main = ("s_axis", "i") if member.flow is In else ("m_axis", "o")
            self._streams[name] = edge = prefix if name == main else f"{prefix}_{name}"
            channel = _channel(getattr(core, name).payload)
            bits = {signal: sum(map(_edge_bits, words)) for signal, words in channel.items()}
            axi = axi_stream(bits["tdata"], user_bits=bits.get("tuser", 0), last="tlast" in bits)
            members[edge] = member.flow(axi)
        members["s_axi"] = In(axi4_lite(core.registers.address_bits))
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        m.domains.sync = sync = ClockDomain("sync")
        m.d.comb += sync.clk.eq(self.aclk), sync.rst.eq(~self.aresetn)
        m.submodules.core = core = self.core
        m.submodules.bank = bank = register_bank(core.registers)
        connect(m, bank.port, core.port)
        connect(m, wiring.flipped(self.s_axi), bank.bus)
        for name, edge in self._masters.items():
            connect(m, getattr(core, name), wiring.flipped(getattr(self, edge)))
        for name, edge in self._streams.items():
            inner, outer = getattr(core, name), getattr(self, edge)
            pairs = [(inner.valid, outer.tvalid)]
            for signal, words in _channel(inner.payload).items():
                begin = 0
                for word in words:
                    pairs.append((word, getattr(outer, signal)[begin : begin + _edge_bits(word)]))
                    begin += _edge_bits(word)
            if core.signature.members[name].flow is In:
                m.d.comb += [word.eq(signal) for word, signal in pairs]
                m.d.comb += outer.tready.eq(inner.ready)
            else:
                m.d.comb += [signal.eq(word) for word, signal in pairs]
                m.d.comb += inner.ready.eq(outer.tready)
        for name in self._signals:
            inner, outer = Value.cast(getattr(core, name)), Value.cast(getattr(self, name))
            m.d.comb += inner.eq(outer) if core.signature.members[name].flow is In else outer.eq(inner)
        return m

    def to_verilog(self, name: str) -> str:
        """The core in its skin as one Verilog file whose top module is `name`; ports are flat, ``s_axis_tdata``."""
        return str(verilog.convert(self, name=name, ports=self._ports(), emit_src=False, strip_internal_attrs=True))

    def to_rtlil(self, name: str) -> str:
        """The same as Yosys reads it."""
        return str(rtlil.convert(self, name=name, ports=self._ports(), emit_src=False))

    def _ports(self) -> dict[str, tuple[Value, None]]:
        return {"_".join(map(str, path)): (Value.cast(value), None) for path, _, value in self.signature.flatten(self)}
