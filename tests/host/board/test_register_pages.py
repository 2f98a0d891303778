"""Drivers' properties, walked over every register table, on a bus that only remembers."""

import pytest

from kronborg.board.pynq.registers import Page, names, page_class
from kronborg.errors import BoardError, InputError
from kronborg_hdl.axi.registers import Access, Field, Register, RegisterMap, head
from kronborg_hdl.overlays.tables import tables

BASE = 0x3000


class Bus:
    """Words by address; a write to a register is remembered, commands are done at once."""

    def __init__(self, table: RegisterMap) -> None:
        self.words = {BASE + register.offset: register.reset for register in table.registers}
        self.commands = {
            BASE + register.offset: sum(f.mask for f in register.fields if f.access is Access.COMMAND)
            for register in table.registers
        }
        self.written: list[tuple[int, int]] = []

    def read(self, offset: int = 0) -> int:
        return self.words[offset]

    def write(self, offset: int, value: int) -> None:
        self.written.append((offset, value))
        self.words[offset] = value & ~self.commands[offset]


@pytest.fixture(params=tables().values(), ids=lambda table: table.name)
def table(request: pytest.FixtureRequest) -> RegisterMap:
    return request.param


def fields(table: RegisterMap, *access: Access) -> list[tuple[Register, Field, str]]:
    by_name = names(table)
    return [
        (register, field, by_name[register.name, field.name])
        for register in table.registers
        for field in register.fields
        if field.access in access
    ]


def test_every_field_has_a_name_of_its_own_and_says_what_the_table_says(table: RegisterMap) -> None:
    page = page_class(table)
    found = names(table)
    assert len(set(found.values())) == len(found) == sum(len(register.fields) for register in table.registers)
    for (register, field), name in found.items():
        says = getattr(page, name).__doc__
        assert table[register][field].sentence in says
        assert table[register].sentence in says
        assert table[register][field].unit in says


def test_a_field_is_written_in_its_unit_and_the_others_stay(table: RegisterMap) -> None:
    bus = Bus(table)
    page = page_class(table)(bus, BASE)
    for register, field, name in fields(table, Access.READ_WRITE):
        kept = {other.name: other for other in register.fields if other.access is Access.READ_WRITE}
        before = {key: other.extract(bus.words[BASE + register.offset]) for key, other in kept.items()}
        for word in (field.minimum, field.maximum):
            setattr(page, name, word * field.scale)
            now = bus.words[BASE + register.offset]
            assert field.extract(now) == word
            assert getattr(page, name) == word * field.scale
            assert {key: kept[key].extract(now) for key in kept if key != field.name} == {
                key: value for key, value in before.items() if key != field.name
            }
            others = [f for f in register.fields if f.access in (Access.COMMAND, Access.STICKY)]
            assert not any(f.extract(bus.written[-1][1]) for f in others), "no command is started, no flag cleared"
        for wrong in ((field.maximum + 1) * field.scale, float("nan"), float("inf")):
            with pytest.raises(InputError, match=f"{register.name}.{field.name} = .* is outside"):
                setattr(page, name, wrong)


def test_commands_are_started_alone(table: RegisterMap) -> None:
    bus = Bus(table)
    page = page_class(table)(bus, BASE)
    for register, field, name in fields(table, Access.COMMAND):
        kept = sum(f.mask for f in register.fields if f.access is Access.READ_WRITE)
        before = bus.words[BASE + register.offset]
        getattr(page, name)()
        assert bus.written[-1] == (BASE + register.offset, before & kept | field.mask)


def test_what_the_core_drives_cannot_be_written(table: RegisterMap) -> None:
    page = page_class(table)(Bus(table), BASE)
    for _, _, name in fields(table, Access.CONSTANT, Access.READ, Access.STICKY):
        with pytest.raises(AttributeError):
            setattr(page, name, 0)
    for _, field, name in fields(table, Access.WRITE_ONLY):
        setattr(page, name, field.maximum)
        with pytest.raises(AttributeError):
            getattr(page, name)


SMALL = RegisterMap(
    "small",
    head(
        "KBSM",
        (2, 1),
        capabilities=(),
        control=(Field("go", 0, 1, Access.COMMAND, "Go."), Field("run", 1, 1, Access.READ_WRITE, "Run.")),
        status=(Field("hot", 0, 1, Access.STICKY, "Hot."), Field("wet", 1, 1, Access.STICKY, "Wet.")),
    ),
)


def small() -> tuple[Page, Bus]:
    bus = Bus(SMALL)
    return page_class(SMALL)(bus, BASE), bus


def test_flags_that_stand_are_named_and_forgotten() -> None:
    page, bus = small()
    assert page.happened() == []
    bus.words[BASE + 0x10] = 0b10
    assert page.happened() == ["wet"]
    page.clear_status()
    assert bus.written == [(BASE + 0x10, 0b11)]


def test_a_word_that_does_not_fit_is_told_with_its_register_and_not_written() -> None:
    page, bus = small()
    with pytest.raises(InputError, match=r"small\.control: run = 2 is outside 0 to 1"):
        page.put("control", run=2)
    assert not bus.written


def test_a_command_that_does_not_end_says_what_the_registers_say() -> None:
    page, bus = small()
    bus.commands[BASE + 0x0C] = 0
    with pytest.raises(BoardError, match=r"small.control.go is not done within 0.01 s: control 0x1, status 0x0"):
        page.go(timeout_s=0.01)


def test_another_core_or_version_is_refused() -> None:
    page, bus = small()
    page.check_identity()
    bus.words[BASE + 4] = SMALL["version"].word(major=3, minor=0)
    with pytest.raises(BoardError, match="small has version 3 and this driver is for 2"):
        page.check_identity()
    bus.words[BASE] = 0x4B42_0001
    with pytest.raises(BoardError, match="small answers as '0x4b420001': the bitstream on the board is another"):
        page.check_identity()
