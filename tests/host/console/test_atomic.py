"""Files that are no ordinary files: links stay links, devices stay devices."""

import os
from pathlib import Path

import pytest

from kronborg.console.atomic import check_writable, write_text
from kronborg.errors import InputError


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    check_writable(pipe)
    write_text(pipe, "text")
    assert os.read(reader, 100) == b"text"
    assert pipe.is_fifo()
    os.close(reader)


def test_what_cannot_be_written_is_said_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.html")
    for target in (tmp_path, tmp_path / "missing" / "report.html"):
        with pytest.raises(InputError, match="name a file in a directory that you can write"):
            check_writable(target)
