"""A code so short that rounds take half a second, and two ends of a link with files of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kronborg.board import Scenario
from kronborg.link import schemes
from kronborg.link.key_pool import KeyPool
from kronborg.link.service import End
from kronborg.link.signatures import SigningKeys, make_signing_key
from kronborg.postprocessing.reconciliation import Code
from kronborg.postprocessing.reconciliation.construct import construct
from kronborg.postprocessing.reconciliation.ensembles import Ensemble, Nodes
from kronborg_sim.devices.drawn_light import DrawnLight

SHORT = Ensemble((Nodes(8, 2), Nodes(25, 3)), (Nodes(2, 30), Nodes(1, 31)), 413, 57, 57, 4320)
SCENARIO = Scenario(distance_km=0.0, excess_noise_snu=0.0, detector_efficiency=1.0, electronic_noise_snu=0.01)
VARIANCE = 2.2
FRAME_SYMBOLS = 102_000

SECRET = bytes(range(256)) * 64
"""What both ends share, in tests."""


@pytest.fixture(scope="session")
def short_graph() -> Code:
    return Code("short", construct(SHORT, seed=1), 0.9)


@pytest.fixture
def short_code(short_graph: Code, monkeypatch: pytest.MonkeyPatch) -> Code:
    """Both ends use it, whatever the SNR."""
    monkeypatch.setattr(schemes, "choose_code", lambda snr: short_graph)
    monkeypatch.setattr(schemes, "code_of", lambda name: short_graph)
    return short_graph


Opened = Callable[..., End]


@pytest.fixture
def open_end(tmp_path: Path) -> Opened:
    """An end as a new process would open it: from its files; with long-term keys if they are given, else a secret."""

    def make(
        name: str,
        *,
        secret: bytes = SECRET,
        keys: SigningKeys | None = None,
        link: str = "link",
        place: str = "",
        **light: object,
    ) -> End:
        folder = tmp_path / place / name
        pool = KeyPool(folder / "pool.sqlite", name)
        if keys is None:
            pool.share(secret)
        drawn = DrawnLight(SCENARIO, VARIANCE, 7, frame_symbols=FRAME_SYMBOLS, **light)  # type: ignore[arg-type]
        return End(link, folder / f"{name}.sqlite", pool, drawn, timeout_seconds=20.0, keys=keys)

    return make


@pytest.fixture(scope="session")
def signing_keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SigningKeys]:
    """Of both ends, and of a stranger who gives himself out as Alice."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob", "stranger"):
        make_signing_key(folder / name)
    return {
        name: SigningKeys.load(folder / f"{name}.key", folder / f"{peer}.pub")
        for name, peer in (("alice", "bob"), ("bob", "alice"), ("stranger", "bob"))
    }
