import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.axi.registers import Access, Field, Register, RegisterMap, head
from kronborg_hdl.decimation.matched_filter.registers import REGISTERS


def field(name: str = "a", lsb: int = 0, width: int = 8, access: Access = Access.READ_WRITE, **more: int) -> Field:
    return Field(name, lsb, width, access, "A sentence.", **more)  # type: ignore[arg-type]


@given(st.integers(0, 31), st.integers(1, 32), st.booleans(), st.data())
def test_a_field_gives_back_what_it_was_given(lsb: int, width: int, is_signed: bool, data: st.DataObject) -> None:
    width = min(width, 32 - lsb)
    entry = Field("a", lsb, width, Access.READ_WRITE, "", signed=is_signed)
    value = data.draw(st.integers(entry.minimum, entry.maximum))
    others = data.draw(st.integers(0, 2**32 - 1)) & ~entry.mask
    assert entry.insert(value) & ~entry.mask == 0
    assert entry.extract(entry.insert(value) | others) == value
    for outside in (entry.minimum - 1, entry.maximum + 1):
        with pytest.raises(ValueError, match=f"a = {outside} is outside"):
            entry.insert(outside)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: field(lsb=25), "does not lie within 32 bits"),
        (lambda: field(name="Gain"), "not a lower-case identifier"),
        (lambda: field(reset=256), "cannot hold its reset value 256"),
        (lambda: field(access=Access.COMMAND), "must be one bit"),
        (lambda: field(access=Access.STICKY, reset=1), "is the core's"),
        (lambda: field(access=Access.WRITE_ONLY, reset=1), "is never kept"),
        (lambda: Register("r", 2, "", ()), "no word of a page"),
        (lambda: Register("r", 4096, "", ()), "no word of a page"),
        (lambda: Register("r", 0, "", (field(), field("b", 7))), "b overlaps another"),
        (lambda: Register("r", 0, "", (field(), field(lsb=8))), "two fields of one name"),
        (
            lambda: Register("r", 0, "", (field(), field("b", 8, access=Access.WRITE_ONLY))),
            "handed over in all of its fields, or in none",
        ),
        (lambda: RegisterMap("core", (Register("r", 4, "", ()), Register("s", 4, "", ()))), "offsets must rise"),
        (
            lambda: RegisterMap("core", (Register("r", 0, "", ()), Register("r", 4, "", ()))),
            "two registers of one name",
        ),
        (lambda: head("KB", (1, 0), capabilities=(), control=(), status=()), "four ASCII characters"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(KeyError, match="matched_filter has no register gain"):
        REGISTERS["gain"]
    with pytest.raises(KeyError, match="register tap has no field gain"):
        REGISTERS["tap"]["gain"]


def test_every_core_begins_with_the_same_five_registers() -> None:
    names = [register.name for register in REGISTERS.registers[:5]]
    assert names == ["id", "version", "capabilities", "control", "status"]
    assert [register.offset for register in REGISTERS.registers[:5]] == [0, 4, 8, 12, 16]
    assert REGISTERS["id"].reset.to_bytes(4, "big") == b"KBMF"
    assert all(entry.access is Access.STICKY for entry in REGISTERS["status"].fields)


def test_a_word_is_written_by_the_names_of_its_fields() -> None:
    assert REGISTERS["tap"].word(symbol=2, sample=3, value=-1) == 0x0203FFFF


def test_the_page_names_every_field_with_its_bits_access_reset_unit_and_sentence() -> None:
    lines = REGISTERS.markdown().splitlines()
    for register in REGISTERS.registers:
        row = lines.index(f"| {register.offset:#05x} | **{register.name}** | | | | | | {register.sentence} |")
        for entry, line in zip(register.fields, lines[row + 1 :], strict=False):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            top = entry.lsb + entry.width - 1
            assert cells[2] in (f"{top}:{entry.lsb}", f"{top}")
            assert cells[3:5] == [entry.name, entry.access.value]
            assert int(cells[5], 0) == entry.reset
            assert entry.unit in cells[6]
            assert cells[7] == entry.sentence
    assert "| | | 4:0 | amount | read/write | 15 | bit | Bits dropped" in REGISTERS.markdown()
    assert all(line.count("|") == 9 for line in lines[2:])
