"""What `kronborg flash` finds in the repository for each board, and what it says where nobody has built anything."""

import shutil
from pathlib import Path

import pytest

from kronborg.board.pynq import opening
from kronborg.cli import main
from kronborg_hdl.boards import BOARDS
from kronborg_hdl.overlays.build import described
from kronborg_hdl.overlays.manifest import BUILT, MANIFEST, load

HOME = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(HOME)
    monkeypatch.delenv("BOARD", raising=False)
    # Nothing was installed by name.
    monkeypatch.setattr("kronborg.board.pynq.overlays.folder", lambda overlay: tmp_path / overlay)


def built() -> list[Path]:
    """Folders of what is built in the repository."""
    folders = [path.parent for path in (HOME / "bitstreams").glob(f"*/*/{MANIFEST}")]
    return sorted(folder for folder in folders if load(folder)["status"] == BUILT)


@pytest.mark.parametrize("folder", built(), ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_bitstream_of_the_repository_is_checked_and_can_be_loaded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flash", folder.parent.name, "--overlay", folder.name, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(f"kronborg_{folder.name} for ")
    assert not list((HOME / "bitstreams" / "pynq-z2").glob("*/*.bit")), "a dry run unpacks nothing"


@pytest.mark.parametrize("board", sorted({folder.parent.name for folder in built()}))
def test_without_an_overlay_it_is_the_largest_that_is_built(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", board, "--dry-run"]) == 0
    sizes = ["loopback", "receiver", "transmitter", "pulse_shaper"]
    largest = min((folder.name for folder in built() if folder.parent.name == board), key=sizes.index)
    assert capsys.readouterr().out.startswith(f"kronborg_{largest} for ")


def test_what_is_built_goes_before_what_is_larger_and_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "bitstreams" / "pynq-z2"
    shutil.copytree(HOME / "bitstreams" / "pynq-z2" / "pulse_shaper", home / "pulse_shaper")
    (home / "loopback").mkdir()
    (home / "loopback" / MANIFEST).write_text(described("loopback", BOARDS["pynq-z2"])[MANIFEST])
    assert main(["flash", "pynq-z2", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("kronborg_pulse_shaper for ")
    (home / "loopback" / MANIFEST).write_text("{")
    assert main(["flash", "pynq-z2", "--dry-run"]) == 2
    assert "is no manifest: kronborg build writes one" in capsys.readouterr().err


@pytest.mark.parametrize("board", sorted(set(BOARDS) - {"pynq-z2"}))
def test_a_board_without_a_bitstream_has_a_line_that_says_how_one_is_made(
    board: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flash", board, "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert "is not built for" in error
    assert f"run the script that kronborg build {board} --overlay " in error
    assert f", or try kronborg selftest --board rtl:{board} --overlay " in error
    assert error.count("\n") == 1


def test_another_overlay_than_the_one_that_was_built_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    files = HOME / "bitstreams" / "pynq-z2" / "pulse_shaper"
    assert main(["flash", "pynq-z2", "--files", str(files), "--overlay", "receiver", "--dry-run"]) == 2
    assert (
        "has the overlay pulse_shaper: name the files of receiver with --files,"
        " or make them with kronborg build pynq-z2 --overlay receiver --out DIR"
    ) in capsys.readouterr().err
    assert main(["flash", "pynq-z2", "--port", "/dev/ttyUSB0", "--dry-run"]) == 2
    assert "--port means nothing to pynq-z2: leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("board", ["zcu111", "ulx3s"])
def test_where_there_are_no_files_it_says_where_it_looked_and_how_they_are_made(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["flash", board, "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert f"bitstreams/{board}: name them with --files, or make them with kronborg build {board} --out DIR" in error
    assert (f"{tmp_path}/loopback or " in error) == (board == "zcu111")
    assert error.count("\n") == 1
    assert main(["flash", board, "--overlay", "pulse_shaper", "--dry-run"]) == 2
    assert f"bitstreams/{board}/pulse_shaper: name them with --files" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["amaranth", "pynq", "cocotb"])
@pytest.mark.parametrize("command", [["selftest", "--board", "model"], ["selftest", "--board", "rtl"]])
def test_what_a_simulated_board_lacks_is_told_with_all_the_extras_that_bring_it(
    command: list[str], missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Offered:
        name = command[-1]

        def load(self) -> None:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(opening, "entry_points", lambda group: [Offered()])
    assert main(command) == 2
    wanted = f"a simulated board needs the extras 'sim' and 'pynq' ({missing} is missing): "
    assert capsys.readouterr().err == f"kronborg selftest: {wanted}pip install 'kronborg[sim,pynq]'\n"
