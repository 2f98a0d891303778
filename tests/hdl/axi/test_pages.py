import pytest

from kronborg_hdl.axi.pages import PageMap
from kronborg_hdl.axi.registers import RegisterMap
from kronborg_hdl.decimation.matched_filter.registers import REGISTERS as FILTER
from kronborg_hdl.modulation.entropy.registers import REGISTERS as ENTROPY

PAGES = PageMap("pair", (("filter", FILTER), ("entropy", ENTROPY), ("spare", ENTROPY)))


def test_a_page_begins_every_4_kib() -> None:
    assert [PAGES.base(name) for name, _ in PAGES.pages] == [0, 0x1000, 0x2000]
    assert PAGES.offset("filter", "status") == 0x10
    assert PAGES.offset("spare", "key") == 0x2018
    assert PAGES["filter"] is FILTER
    assert PAGES["spare"] is ENTROPY


@pytest.mark.parametrize(("count", "bits"), [(1, 12), (2, 13), (3, 14), (4, 14), (5, 15), (16, 16), (17, 17)])
def test_the_address_has_room_for_all_pages_and_no_more_than_needed(count: int, bits: int) -> None:
    assert PageMap("many", tuple((f"page_{n}", FILTER) for n in range(count))).address_bits == bits


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ((), "core has no page"),
        ((("Filter", FILTER),), "page name 'Filter' is not a lower-case identifier"),
        ((("a b", FILTER),), "page name 'a b' is not"),
        ((("a", FILTER), ("b", FILTER), ("a", ENTROPY)), "core has two pages a"),
    ],
)
def test_a_map_that_contradicts_itself_is_refused(pages: tuple[tuple[str, RegisterMap], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PageMap("core", pages)


def test_unknown_names_are_refused() -> None:
    for ask in (lambda: PAGES["gain"], lambda: PAGES.base("gain"), lambda: PAGES.offset("gain", "id")):
        with pytest.raises(KeyError, match="pair has no page gain"):
            ask()
    with pytest.raises(KeyError, match="entropy has no register gain"):
        PAGES.offset("entropy", "gain")


def test_the_documentation_has_each_page_with_its_base_and_its_table() -> None:
    text = PAGES.markdown()
    assert text.startswith("# Registers of pair\n\n| base | page | registers of |\n")
    for base, (name, table) in zip(("0x00000", "0x01000", "0x02000"), PAGES.pages, strict=True):
        assert f"| {base} | {name} | {table.name} |\n" in text
        assert f"\n## {name}, at {base}\n\n{table.table()}" in text
