"""Register tables in SystemRDL 2.0 (Accellera), for the tools of others: headers, verification, documentation."""

from __future__ import annotations

from collections.abc import Mapping

from ..axi.pages import PageMap
from ..axi.registers import WORD_BITS, Access, Field, Register, RegisterMap

_PROPERTIES = """\
property kronborg_unit { component = field; type = string; };
property kronborg_scale { component = field; type = string; };
property kronborg_signed { component = field; type = boolean; };
"""
"""What SystemRDL has no word for: the unit of ``scale * word``, the scale, and two's complement."""

_ACCESS = {
    Access.CONSTANT: ("sw = r", "hw = na"),
    Access.READ: ("sw = r", "hw = w"),
    Access.READ_WRITE: ("sw = rw", "hw = r"),
    Access.STICKY: ("sw = rw", "onwrite = woclr", "hw = rw", "hwset"),
    Access.COMMAND: ("sw = rw", "onwrite = woset", "hw = rw", "hwclr"),
    # Two values behind one address: what is written never shows.
    Access.EXCHANGE: ("sw = rw", "hw = rw"),
    Access.WRITE_ONLY: ("sw = w", "hw = r"),
}


EMPTY = Field("nothing", 0, WORD_BITS, Access.CONSTANT, "No field: reads zero.")
"""SystemRDL knows no register without fields."""


def system_rdl(cores: Mapping[str, RegisterMap | PageMap]) -> str:
    """An address map for each core, of its name; with pages, each page is a map within it."""
    return "\n".join([_PROPERTIES, *(_core(name, registers) for name, registers in cores.items())])


def _core(name: str, registers: RegisterMap | PageMap) -> str:
    head = f"addrmap {_name(name)}"
    if isinstance(registers, RegisterMap):
        return f"{_map(head, registers)};\n"
    lines = [f"{head} {{"]
    for page, table in registers.pages:
        lines.append(f"{_indent(_map('addrmap', table))} {_name(page)} @ {registers.base(page):#x};")
    return "\n".join([*lines, "};"]) + "\n"


def _map(head: str, table: RegisterMap) -> str:
    lines = [f"{head} {{", f"    name = {_text(table.name)};", f"    default regwidth = {WORD_BITS};"]
    lines += [_indent(_register(register)) for register in table.registers]
    return "\n".join([*lines, "}"])


def _register(register: Register) -> str:
    lines = ["reg {", f"    desc = {_text(register.sentence)};"]
    lines += [_indent(_field(field)) for field in register.fields or (EMPTY,)]
    return "\n".join([*lines, f"}} {_name(register.name)} @ {register.offset:#x};"])


def _field(field: Field) -> str:
    said = [*_ACCESS[field.access], f"desc = {_text(field.sentence)}"]
    if field.unit:
        said.append(f"kronborg_unit = {_text(field.unit)}")
    if field.scale != 1:
        said.append(f"kronborg_scale = {_text(repr(field.scale))}")
    if field.signed:
        said.append("kronborg_signed")
    reset = ""
    if field.access in (Access.CONSTANT, Access.READ_WRITE):
        reset = f" = {field.insert(field.reset) >> field.lsb:#x}"
    return f"field {{ {'; '.join(said)}; }} {_name(field.name)}[{field.lsb + field.width - 1}:{field.lsb}]{reset};"


def _name(name: str) -> str:
    """Escaped: a name of ours may be a word of the language."""
    return f"\\{name}"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
