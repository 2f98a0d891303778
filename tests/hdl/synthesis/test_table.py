import gc
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.lib import wiring

import kronborg_hdl
from kronborg.cli import main
from kronborg_hdl.synthesis import table
from kronborg_hdl.synthesis.cores import CORES, configure, small
from kronborg_hdl.synthesis.table import TABLED, Row, load, markdown, merge, moved, text, to_json
from kronborg_hdl.synthesis.yosys import synthesise

AGAIN = "if that is meant, run: kronborg resources --store --markdown docs/resources.md --core"
STORED = {row.key: row for row in load()}


CHECKED = [name for name, entry in CORES.items() if entry.checked_on and (small(name), entry.checked_on) in STORED]


@pytest.mark.parametrize("core", CHECKED)
def test_has_not_grown(core: str) -> None:
    job = small(core), str(CORES[core].checked_on)
    # Synthesised if anything has changed that the figures follow from; the same again would give the same.
    (now,) = synthesise([job], known=STORED.values())
    assert not moved(now, STORED[job]), f"{'; '.join(moved(now, STORED[job]))}: {AGAIN} {core}"


def test_the_transmitters_cores_are_among_those_that_may_not_grow() -> None:
    parts = {"alphabet", "entropy", "frame_controller", "gaussian", "predistortion", "pulse_shaper", "shift_and_pilots"}
    assert parts | {"symbol_record"} <= set(CHECKED)


def test_synthesis_gives_what_is_stored() -> None:
    for row in synthesise([(configure("alphabet", 1), device) for device in TABLED]):
        assert not moved(row, STORED[row.key])


def test_a_synthesis_that_is_interrupted_says_nothing_of_its_tasks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(configuration: object) -> str:
        raise KeyboardInterrupt  # as on SIGTERM, wherever the program is

    monkeypatch.setattr("kronborg_hdl.synthesis.yosys._hardware", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesise([(configure("alphabet", 1), device) for device in TABLED])
    gc.collect()  # asyncio tells of what nobody fetched when it goes
    assert not caplog.records


def test_rows_that_others_store_meanwhile_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs, *rest = [row for row in STORED.values() if row.key[0].core == "alphabet"]
    monkeypatch.setattr(table, "STORED", tmp_path / "table.json")
    table.STORED.write_text(to_json(rest))

    def synthesise(jobs: object, *, done: Callable[[Row], None], **options: object) -> list[Row]:
        table.STORED.write_text(to_json(merge(rest, [theirs])))
        done(mine)
        return [mine]

    monkeypatch.setattr("kronborg_hdl.commands.resources.synthesise", synthesise)
    assert main(["resources", "--core", "alphabet", "--store", "--plain"]) == 0
    assert load() == [mine, theirs, *rest]


def test_every_core_of_the_transmitter_is_in_the_register() -> None:
    def classes() -> Iterator[type]:
        for module in pkgutil.walk_packages(kronborg_hdl.__path__, "kronborg_hdl."):
            if module.name.endswith(".core") and module.name.split(".")[1] in ("modulation", "transmitter"):
                for value in vars(importlib.import_module(module.name)).values():
                    if isinstance(value, type) and value.__module__ == module.name:
                        yield value

    cores = {cls for cls in classes() if issubclass(cls, wiring.Component) and hasattr(cls, "registers")}
    known = {type(small(core).build()) for core in CORES}
    unknown = ", ".join(sorted(cls.__name__ for cls in cores - known))
    assert not unknown, f"{unknown}: add to CORES in synthesis/cores.py, and run: kronborg resources --store --core ..."


def test_the_page_is_made_from_the_table_and_names_what_it_has_not() -> None:
    assert merge((), STORED.values()) == list(STORED.values())
    page = Path(__file__).parents[3] / "docs" / "resources.md"
    # A core that was just added is missing from the table, and need not be named in the page yet.
    stored, made = (
        [line for line in lines.splitlines() if line and not line.startswith("Not synthesised yet")]
        for lines in (page.read_text("utf-8"), markdown(STORED.values()))
    )
    assert stored == made
    less = markdown([row for row in STORED.values() if row.key[0] != configure("alphabet", 2)])
    (line,) = (line for line in less.splitlines() if line.startswith("Not synthesised yet"))
    assert "alphabet on xc7z020: 2" in line


def test_a_core_has_as_many_multipliers_as_it_says() -> None:
    for row in STORED.values():
        configuration, _ = row.key
        said = getattr(configuration.build(), "multipliers", 0)
        assert row.multipliers == said, f"{configuration} says {said}"


ROW = Row("alphabet", 1, None, None, "xc7z020", 10, 1000, 1000, 10, 5, "")


@pytest.mark.parametrize("name", ["multipliers", "luts", "registers", "block_rams"])
def test_a_tenth_more_or_less_is_still_the_same(name: str) -> None:
    stored = getattr(ROW, name)
    for factor, lines in ((1.1, 0), (1.2, 1), (0.9, 0), (0.8, 1)):
        now = replace(ROW, **{name: round(factor * stored)})
        assert len(moved(now, ROW)) == lines, f"{name} times {factor}"
    assert moved(replace(ROW, multipliers=20), ROW) == ["alphabet, lanes 1, on xc7z020: multipliers were 10, are 20"]


def test_what_was_nothing_may_not_become_something() -> None:
    assert moved(replace(ROW, block_rams=1), replace(ROW, block_rams=0))


def test_rows_are_shown_with_their_share_of_the_device() -> None:
    heads, line = text([ROW]).splitlines()
    assert heads.split()[:5] == ["core", "device", "lanes", "M", "K"]
    assert "1000 (1.9 %)" in line
    assert f"{10 / 220:.1%}".replace("%", " %") in line


def test_a_table_keeps_its_own_rows_only() -> None:
    other = replace(ROW, lanes=16)
    assert merge([ROW], [other]) == [ROW]
    newer = replace(ROW, luts=7)
    assert merge([ROW], [newer]) == [newer]
    assert '"luts": 7' in to_json([newer])
