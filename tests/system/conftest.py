"""Commands as people type them, each in a folder of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


def kronborg_in(folder: Path) -> Command:
    """Run `kronborg ARGUMENTS` in a folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kronborg.cli", *arguments],
            cwd=folder,
            text=True,
            capture_output=True,
            timeout=400,
            check=False,
        )

    return run


@pytest.fixture
def kronborg(tmp_path: Path) -> Command:
    return kronborg_in(tmp_path)
