"""Register tables: what the host finds at which address of a core. Pure Python: gateware, drivers and tests read it.

A core writes one :class:`RegisterMap` in its ``registers.py``. The AXI4-Lite slave (``axi.bank``), the core's
register port, the documentation (:meth:`RegisterMap.markdown`) and the test that walks the registers come from it.

Every core begins with the registers of :func:`head`: ID, VERSION, CAPABILITIES, CONTROL, STATUS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

WORD_BITS = 32
WORD_BYTES = WORD_BITS // 8
ADDRESS_BITS = 12
"""A core takes one page of 4 KiB, the smallest that interconnects map: no register appears twice."""


class Access(Enum):
    """What the host may do with a field, and who holds its value. The value is its name in the documentation."""

    CONSTANT = "constant"
    """Reads the reset value, always."""
    READ = "read"
    """The core drives the value."""
    READ_WRITE = "read/write"
    """The host's value, kept in the bank."""
    STICKY = "read, write one to clear"
    """The core sets it; it stays until the host writes one (a set at the same time wins)."""
    COMMAND = "write one to start"
    """One bit. Writing one starts an action; reads one while the core has not yet done it."""
    EXCHANGE = "write the host's, read the core's"
    """What the host writes is handed to the core for one clock; what it reads the core drives: two different values."""
    WRITE_ONLY = "write-only"
    """Handed to the core and kept nowhere: reads zero. Written in whole words, for there is nothing to add bytes to."""


_HOST_WRITES = (Access.READ_WRITE, Access.STICKY, Access.COMMAND, Access.EXCHANGE, Access.WRITE_ONLY)

_WHOLE_WORDS = (Access.EXCHANGE, Access.WRITE_ONLY)


@dataclass(frozen=True)
class Field:
    """Some bits of a register.

    Attributes:
        name: lower case, unique in the register.
        lsb: position of the lowest bit.
        width: bits.
        access: see :class:`Access`.
        sentence: what it means.
        reset: value after reset, of the same sign convention as the field.
        signed: two's complement.
        unit: of ``scale * word``; empty for a pure number or a flag.
        scale: units per word.
    """

    name: str
    lsb: int
    width: int
    access: Access
    sentence: str
    reset: int = 0
    signed: bool = False
    unit: str = ""
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(f"field name {self.name!r} is not a lower-case identifier")
        if self.width < 1 or self.lsb < 0 or self.lsb + self.width > WORD_BITS:
            raise ValueError(f"field {self.name} does not lie within {WORD_BITS} bits")
        if not self.minimum <= self.reset <= self.maximum:
            raise ValueError(f"field {self.name} cannot hold its reset value {self.reset}")
        if self.access is Access.COMMAND and (self.width != 1 or self.reset):
            raise ValueError(f"command {self.name} must be one bit that resets to zero")
        if self.access in (Access.READ, Access.STICKY, Access.EXCHANGE) and self.reset:
            raise ValueError(f"field {self.name} is the core's: it has no reset value here")
        if self.access is Access.WRITE_ONLY and self.reset:
            raise ValueError(f"field {self.name} is never kept: it has no reset value")

    @property
    def minimum(self) -> int:
        """Smallest value."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest value."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def mask(self) -> int:
        """The field's bits in the register's word."""
        return ((1 << self.width) - 1) << self.lsb

    @property
    def host_writes(self) -> bool:
        """Whether a write has an effect."""
        return self.access in _HOST_WRITES

    def insert(self, value: int) -> int:
        """The register's word with this field at `value` and all other bits zero; ValueError if it does not fit."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{self.name} = {value} is outside {self.minimum} to {self.maximum}")
        return (value << self.lsb) & self.mask

    def extract(self, word: int) -> int:
        """The field's value in a register's word."""
        value = (word & self.mask) >> self.lsb
        return value - (1 << self.width) if self.signed and value > self.maximum else value


@dataclass(frozen=True)
class Register:
    """One 32-bit word of the map.

    Attributes:
        name: lower case, unique in the map.
        offset: bytes from the core's base address.
        sentence: what it is for.
        fields: its bits, none of them twice. Those that are written are all handed over in whole words (write-only,
            exchange), or none is. Bits of no field read zero and ignore writes.
    """

    name: str
    offset: int
    sentence: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(f"register name {self.name!r} is not a lower-case identifier")
        if self.offset % WORD_BYTES or not 0 <= self.offset < 1 << ADDRESS_BITS:
            raise ValueError(f"register {self.name}: offset {self.offset:#x} is no word of a page")
        used = 0
        for field in self.fields:
            if used & field.mask:
                raise ValueError(f"register {self.name}: field {field.name} overlaps another")
            used |= field.mask
        if len({field.name for field in self.fields}) != len(self.fields):
            raise ValueError(f"register {self.name} has two fields of one name")
        if len({field.access in _WHOLE_WORDS for field in self.fields if field.host_writes}) > 1:
            raise ValueError(f"register {self.name}: what is written is handed over in all of its fields, or in none")

    def __getitem__(self, name: str) -> Field:
        """The field of this name; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"register {self.name} has no field {name}")

    @property
    def reset(self) -> int:
        """The word after reset (bits that the core drives: zero)."""
        return sum(field.insert(field.reset) for field in self.fields)

    @property
    def host_writes(self) -> bool:
        """Whether any field takes a write; the slave answers SLVERR to a write if none does."""
        return any(field.host_writes for field in self.fields)

    @property
    def whole_words(self) -> bool:
        """Whether it is written in whole words only; the slave then answers SLVERR to a write of less."""
        return any(field.access in _WHOLE_WORDS for field in self.fields)

    def word(self, **values: int) -> int:
        """The word with fields at these values and the others at zero."""
        return sum(self[name].insert(value) for name, value in values.items())


@dataclass(frozen=True)
class RegisterMap:
    """All registers of one core, in order of offset.

    Attributes:
        name: of the core.
        registers: no two at one offset or of one name.
    """

    name: str
    registers: tuple[Register, ...]

    def __post_init__(self) -> None:
        offsets = [register.offset for register in self.registers]
        if offsets != sorted(set(offsets)):
            raise ValueError(f"{self.name}: offsets must rise from register to register")
        if len({register.name for register in self.registers}) != len(self.registers):
            raise ValueError(f"{self.name} has two registers of one name")

    def __getitem__(self, name: str) -> Register:
        """The register of this name; KeyError if there is none."""
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(f"{self.name} has no register {name}")

    @property
    def address_bits(self) -> int:
        """Width of the address of a byte: one page."""
        return ADDRESS_BITS

    def markdown(self) -> str:
        """The documentation's page: one table."""
        return f"# Registers of {self.name}\n\n{self.table()}"

    def table(self) -> str:
        """All registers and fields as a table in Markdown."""
        lines = [
            "| offset | register | bits | field | access | reset | unit | meaning |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for register in self.registers:
            lines.append(f"| {register.offset:#05x} | **{register.name}** | | | | | | {register.sentence} |")
            for field in register.fields:
                top = field.lsb + field.width - 1
                bits = f"{top}:{field.lsb}" if field.width > 1 else f"{top}"
                unit = field.unit if field.scale == 1 else f"{field.scale:g} {field.unit}".strip()
                reset = f"{field.reset:#x}" if field.access is Access.CONSTANT else f"{field.reset}"
                lines.append(
                    f"| | | {bits} | {field.name} | {field.access.value} | {reset} | {unit} | {field.sentence} |"
                )
        return "\n".join(lines) + "\n"


def head(
    identity: str,
    version: tuple[int, int],
    *,
    capabilities: Sequence[Field],
    control: Sequence[Field],
    status: Sequence[Field],
) -> tuple[Register, ...]:
    """The registers that every core begins with, at offsets 0x00 to 0x10.

    Args:
        identity: four ASCII characters; the first is the high byte of ID.
        version: major (raised when old drivers no longer work) and minor.
        capabilities: how this instance was built; the core drives them.
        control: what the host orders.
        status: sticky flags.

    Raises:
        ValueError: the identity is not four ASCII characters.
    """
    if len(identity) != 4 or not identity.isascii():
        raise ValueError(f"a core's identity is four ASCII characters, not {identity!r}")
    word = int.from_bytes(identity.encode("ascii"), "big")
    return (
        Register(
            "id",
            0x00,
            "Which core this is.",
            (Field("word", 0, 32, Access.CONSTANT, f'The characters "{identity}".', reset=word),),
        ),
        Register(
            "version",
            0x04,
            "Of the register map.",
            (
                Field("minor", 0, 16, Access.CONSTANT, "Raised when something is added.", reset=version[1]),
                Field("major", 16, 16, Access.CONSTANT, "Raised when old drivers no longer fit.", reset=version[0]),
            ),
        ),
        Register("capabilities", 0x08, "How this instance was built.", tuple(capabilities)),
        Register("control", 0x0C, "What the host orders.", tuple(control)),
        Register("status", 0x10, "What happened since the flag was last cleared.", tuple(status)),
    )
