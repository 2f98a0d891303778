"""Links of a network on this machine: blocks of key, the same at both ends, at the rate of the security proof.

There is no light. For each link one block is really distilled, by `kronborg run --light drawn`: symbols are drawn from
the link's channel model, and go through estimation, error correction, verification and privacy amplification. What
follows comes from the operating system's randomness, as long as the link's finite-size rate allows for the time that
has passed. Both are simulated links' keys, which every key management entity says of them.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kronborg.console.atomic import write_text
from kronborg.errors import InputError
from kronborg.network.database import StoreError
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.local.files import Files
from kronborg.network.local.plan import FibreLink, Light, Plan
from kronborg.network.material import Material

EPSILON = 5 * 2.0**-32
"""How far a block of the composable rate is from ideal."""
SMALLEST_BLOCK_BYTES = 256
DISTIL_SECONDS = 600.0
NICE = 10
"""Distillation gives way to key management entities."""


@dataclass
class Delivered:
    """What a link has delivered since its network was made.

    Attributes:
        blocks, bits: all of it.
        distilled_blocks, distilled_bits: of these, what was really distilled.
        note: why nothing was distilled.
    """

    blocks: int = 0
    bits: int = 0
    distilled_blocks: int = 0
    distilled_bits: int = 0
    note: str = ""


@dataclass
class _Fed:
    """A link that is fed.

    Attributes:
        credit_bytes: key that the link has made and nobody has stored.
        at: when that was reckoned.
    """

    link: FibreLink
    bytes_per_second: float
    at: float
    credit_bytes: float = 0.0
    told: Delivered = field(default_factory=Delivered)


class Feed:
    """Feeds all links of a network until it is ended.

    Args:
        folder: of the network; its plan is read again when it changes.

    Raises:
        InputError: there is no network in it.
    """

    def __init__(self, folder: Path) -> None:
        self._files = Files(folder)
        self._plan: Plan = self._files.read_plan()
        self._stamp = self._files.plan.stat().st_mtime_ns
        self._stores: dict[str, KeyStore] = {}
        self._fed: dict[str, _Fed] = {}
        self._distilled: dict[str, tuple[KeyBlock, KeyBlock] | str] = {}
        self._distilling: threading.Thread | None = None
        self._before = self._read()

    def _read(self) -> dict[str, Delivered]:
        try:
            found = json.loads(self._files.links.read_text("utf-8"))["links"]
            return {name: Delivered(**each) for name, each in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def run(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Deliver every so many seconds, until `ended` says so."""
        while not ended():
            begun = time.monotonic()
            self._follow_plan()
            changed = [self._deliver(each, begun) for each in self._fed.values()]
            self._distil_next()
            if any(changed):
                told = {name: vars(each.told) for name, each in self._fed.items()}
                write_text(self._files.links, json.dumps({"links": told}, indent=1) + "\n")
            time.sleep(max(0.0, begun + self._plan.light.slice_seconds - time.monotonic()))

    def _follow_plan(self) -> None:
        """Take on links that the plan has got."""
        stamp = self._files.plan.stat().st_mtime_ns
        if stamp != self._stamp:
            # A plan that is being changed by hand may be wrong for a while.
            with contextlib.suppress(InputError):
                self._plan = self._files.read_plan()
                self._stamp = stamp
        for name, link in self._plan.links.items():
            if name not in self._fed and all(self._files.store(end).exists() for end in link.ends):
                rate = link.bits_per_second(self._plan.light) / 8
                # A block is under way when a network comes up: the first slice does not have to wait for its end.
                slice_seconds = self._plan.light.slice_seconds
                told = self._before.get(name, Delivered())
                self._fed[name] = _Fed(link, rate, time.monotonic() - slice_seconds, told=told)
                with contextlib.suppress(StoreError):
                    one, other = self._ends(link)
                    one.settle(name, other.last_ready(name))

    def _ends(self, link: FibreLink) -> tuple[KeyStore, KeyStore]:
        for end in link.ends:
            if end not in self._stores:
                self._stores[end] = KeyStore(self._files.store(end))
        return self._stores[link.ends[0]], self._stores[link.ends[1]]

    def _deliver(self, fed: _Fed, now: float) -> bool:
        """Store what a link has made since, as far as there is room; returns whether something was stored."""
        block_bytes = fed.link.block_symbols * fed.bytes_per_second / self._plan.light.symbol_rate_hz
        fed.credit_bytes = min(fed.credit_bytes + fed.bytes_per_second * (now - fed.at), block_bytes)
        fed.at = now
        try:
            one, _ = self._ends(fed.link)
            distilled = self._distilled.pop(fed.link.name, None)
            if isinstance(distilled, str):
                fed.told.note = distilled
                return True
            if distilled is not None:
                self._store(fed, *distilled)
                fed.told.distilled_blocks += 1
                fed.told.distilled_bits += distilled[0].bits
                return True
            room = self._plan.light.store_bytes - _stored_bytes(one, fed.link.name)
            size = min(int(fed.credit_bytes), room)
            if size < SMALLEST_BLOCK_BYTES:
                return False
            block = KeyBlock(fed.link.name, 0, 8 * size, EPSILON, secrets.token_bytes(size))
            self._store(fed, block, block)
            fed.credit_bytes -= size
            return True
        except StoreError as error:
            # A store that is busy for seconds, or a disk that is full: later slices may go in.
            print(f"{fed.link.name}: {error}", file=sys.stderr, flush=True)
            return False

    def _store(self, fed: _Fed, alices: KeyBlock, bobs: KeyBlock) -> None:
        """Store a block at both ends: what ends between the two is settled when the feed starts again."""
        one, other = self._ends(fed.link)
        name = fed.link.name
        sequence = max(one.last_ready(name), other.last_ready(name)) + 1
        one.add(_renamed(alices, name, sequence), pending=True)
        other.add(_renamed(bobs, name, sequence))
        one.settle(name, sequence)
        fed.told.blocks += 1
        fed.told.bits += alices.bits

    # --- what is really distilled

    def _distil_next(self) -> None:
        """Begin to distil a block of the next link that has had none, unless one is under way."""
        if self._distilling is not None and self._distilling.is_alive():
            return
        light = self._plan.light
        for fed in self._fed.values():
            if light.distil_symbols and not fed.told.distilled_blocks and not fed.told.note:
                if fed.link.name in self._distilled:
                    continue
                self._distilling = threading.Thread(target=self._distil, args=(fed.link, light), daemon=True)
                self._distilling.start()
                return

    def _distil(self, link: FibreLink, light: Light) -> None:
        self._distilled[link.name] = distil(link, light)


def distil(link: FibreLink, light: Light) -> tuple[KeyBlock, KeyBlock] | str:
    """A block of a link at each end, distilled from symbols that are drawn; or why there is none."""
    with tempfile.TemporaryDirectory(prefix="kronborg-") as folder:
        command = [
            *("nice", "-n", str(NICE), sys.executable, "-m", "kronborg.cli", "run", "--light", "drawn", "--plain"),
            *("--distance", repr(link.length_km), "--attenuation", repr(link.attenuation_db_per_km)),
            *("--excess-noise", repr(link.excess_noise_snu), "--symbols", str(light.distil_symbols)),
            *("--detector-efficiency", repr(light.detector_efficiency)),
            *("--electronic-noise", repr(light.electronic_noise_snu)),
            *("--seed", str(secrets.randbits(31)), "--store", folder),
        ]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=DISTIL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"not distilled: {type(error).__name__}"
        if ran.returncode:
            said = (ran.stderr.strip().splitlines() or ["it says nothing"])[-1]
            return f"not distilled from {light.distil_symbols} symbols: {said.removeprefix('kronborg run: ')}"
        with KeyStore(Path(folder) / "alice.sqlite") as alice, KeyStore(Path(folder) / "bob.sqlite") as bob:
            return alice.blocks("simulated")[-1], bob.blocks("simulated")[-1]


def _renamed(block: KeyBlock, link: str, sequence: int) -> KeyBlock:
    return KeyBlock(link, sequence, block.bits, block.epsilon, block.key)


def _stored_bytes(store: KeyStore, link: str) -> int:
    """Key of a link that is in a store and not used: in its pools, or on its way there."""
    pools = Material(store.database)
    waiting = store.database.rows("SELECT COALESCE(SUM(bits), 0) FROM block WHERE link = ? AND state = 'ready'", link)
    return sum(pools.available(link, pool) for pool in (0, 1)) + int(waiting[0][0]) // 8
