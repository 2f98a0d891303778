"""`kronborg bench`, in the tests' own process."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kronborg.cli import main


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str
    figures: Any


Bench = Callable[..., Finished]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    def run(*arguments: str, path: Path = tmp_path / "figures.json") -> Finished:
        path.unlink(missing_ok=True)
        try:
            code = main(["bench", *arguments, "--json", str(path)])
        except SystemExit as left:  # argparse
            code = int(left.code or 0)
        said = capsys.readouterr()
        return Finished(code, said.out, said.err, json.loads(path.read_text()) if path.exists() else None)

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)
