"""Real encryptors, and two KMEs with keys for them.

Nothing here is left out where programs are missing: Debian's packages are installed, or the tests fail and say what
they need.
"""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kronborg_sim.network.tunnels import IKE_PROGRAMS, PROGRAMS, missing

from ..kme.conftest import Running, running


def until(so: Callable[[], bool], seconds: float = 120.0) -> Iterator[None]:
    """Again and again until something is so: on a machine that has other things to do, that takes its time."""
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, "it did not come about"
        yield


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """WireGuard and strongSwan, installed if they are not there."""
    wanted = {**PROGRAMS, **IKE_PROGRAMS}
    if not missing(wanted):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.fail(f"tests of encryptors run as root, and need {' '.join(missing(wanted))}")
    # One of pytest's processes installs, the others wait for it.
    with Path("/tmp/kronborg-encryptors.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *missing(wanted)]):
            if missing(wanted):
                subprocess.run(["apt-get", *command], env=environment, stdout=subprocess.DEVNULL, check=True)
    assert not missing(wanted)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two KMEs with keys, for the tests of a module."""
    with running(tmp_path_factory.mktemp("network")) as found:
        found.fill(100_000)
        yield found
