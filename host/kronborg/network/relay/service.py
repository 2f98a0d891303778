"""The half of relay that talks: it finds paths, keeps frames moving, and waits until keys have arrived."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..hybrid import MOST_KEY_BYTES, NAME, Kem, NoKem, Trust, encapsulate, mask
from ..key_pools import NotEnoughKey, Reservation
from ..kme.channel import Channel, PeerAbsent, PeerSilent
from ..kme.config import KmeConfig, Link
from ..kme.log import LOGGER, event
from ..kme.metrics import Metrics
from ..kme.terms import HYBRID, NO_KEY, NOT_MET, ORIGIN, PATHS, ROUTE_TYPE, Terms
from ..kme.wire import Refused
from ..material import Conflict
from . import frames
from .frames import Kind
from .routing import Advert, LinkState, Path, Topology, Wish, routes
from .store import Leg, RelayStore, Taken, Waiting, account_of
from .transport import Transport

T = TypeVar("T")
Store = Callable[[Callable[[], T]], Awaitable[T]]

LOOK_SECONDS = 0.5
"""How often the outbox is looked at without being called, and neighbours are told of links."""
TELL_SECONDS = 1.0
"""How often a node's word of its links is made anew."""
MOST_TOLD = 16
"""Nodes in one message to a neighbour: each tells some 5 kB."""
MOST_PAYLOAD_BYTES = frames.MOST_FRAME_BYTES // 2
"""Of the keys of one request; the other half of a frame is for names and places."""
RETRY_SECONDS = 0.1
NO_PATH = "no path of trusted nodes leads to the KME of the slave SAE"


class Relay:
    """Relay at one node.

    Args:
        config: its configuration; has relay settings.
        pools: its keys.
        store: carries out work on them.
        channels: to the other end of each link, by its name.
        transport: carries frames.
        kem: for hybrid keys.
        metrics: counts.
    """

    def __init__(
        self,
        config: KmeConfig,
        pools: RelayStore,
        store: Callable[[Callable[[], Any]], Awaitable[Any]],
        channels: Mapping[str, Channel],
        transport: Transport,
        kem: Kem,
        metrics: Metrics,
    ) -> None:
        assert config.relay is not None
        self.config, self.settings = config, config.relay
        self.topology = Topology(config.id)
        self._kem, self._trust = kem, Trust(config.ca, config.crl)
        self._pools, self._store, self._channels = pools, store, dict(channels)
        self._transport, self._metrics = transport, metrics
        self._waiting: dict[str, asyncio.Future[Taken]] = {}
        self._calls: dict[str, asyncio.Event] = {}
        self._work: list[asyncio.Task[None]] = []
        self._told: dict[str, dict[str, int]] = {name: {} for name in config.links}
        self._stored: dict[str, int] = {}

    # --- keys of masters here

    def paths_to(self, kme: str, wish: Wish, paths: int) -> list[Path]:
        """The paths to use to a KME, none or up to so many."""
        return routes(self.topology, kme, wish, paths, time.monotonic())

    def _wish(self, terms: Terms, need_bytes: int) -> Wish:
        avoid, indirect = {*self.settings.avoid, *terms.avoid}, terms.route_type == "indirect"
        hops = 1 if terms.route_type == "direct" else terms.max_hops or self.settings.max_hops
        return Wish(need_bytes, avoid, hops, indirect)

    def stored_bytes(self, kme: str, terms: Terms) -> int:
        """Key of the scarcest link on the way to a KME; 0 where none leads there."""
        found = self.paths_to(kme, self._wish(terms, frames.TAG_KEY_BYTES), max(terms.least_paths, self.settings.paths))
        stored = {
            (advert.node, link.peer): link.stored_bytes
            for advert in self.topology.known(time.monotonic())
            for link in advert.links
        }
        edges = [edge for path in found for edge in itertools.pairwise(path)]
        return max(0, min((stored.get(edge, 0) for edge in edges), default=0) - frames.TAG_KEY_BYTES)

    async def make(
        self, master: str, slaves: Mapping[str, Sequence[str]], number: int, key_bytes: int, terms: Terms
    ) -> str:
        """Make keys and bring them to the KMEs of their slaves; returns the reservation that is ready to be delivered.

        Where they are held up, new keys go another way, as long as there is one and time.

        Args:
            master: the SAE that asks.
            slaves: those of each KME.
            number, key_bytes: of the keys.
            terms: what the way has to be.

        Raises:
            Refused: 400 where no path can be what it has to be, 503 where keys cannot get there now.
        """
        end, before, pause = time.monotonic() + self.settings.timeout_seconds, None, RETRY_SECONDS
        while True:
            paths = self._paths(slaves, number * key_bytes, terms)
            if paths == before:
                # There is no other way: what is in it may give way, or the nodes will say that it is closed.
                await asyncio.sleep(pause)
                pause *= 2
            before = paths
            made, legs, bits = self._draw(master, slaves, number, key_bytes, paths, terms.hybrid)
            if terms.origin not in ("", made.extension[ORIGIN]):
                raise Refused(400, NOT_MET, [{ORIGIN: f"the keys would be {made.extension[ORIGIN]}"}])
            arrived: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
            self._waiting[made.id] = arrived
            try:
                await self._originate(made, bits, legs)
                left = end - time.monotonic()
                taken = await asyncio.wait_for(arrived, max(left, 0.01))
                if taken.confirmed:
                    return made.id
                stopped = [taken.stopped] if taken.stopped else _edges(paths)
            except asyncio.TimeoutError:
                stopped = _edges(paths)
            except Conflict:
                raise Refused(503, "so many keys do not fit into a frame: ask for fewer at once") from None
            except NotEnoughKey:
                stopped = [(path[0], path[1]) for each in paths.values() for path in each]
            finally:
                del self._waiting[made.id]
            self.topology.penalise(stopped, time.monotonic())
            event(logging.WARNING, "relay held up", session=made.id, between=[list(edge) for edge in stopped][:8])
            self._metrics.held_up.inc()
            await self._store(lambda id=made.id: self._pools.abandon(id))  # type: ignore[misc]
            if time.monotonic() > end:
                raise Refused(503, "the keys did not get to the KME of the slave SAE in time")

    def prepare(
        self, master: str, slaves: Mapping[str, Sequence[str]], keys: Mapping[str, bytes], key_bytes: int, terms: Terms
    ) -> tuple[Reservation, list[Leg], bytes]:
        """A reservation and the legs of keys that somebody else made. Raises Refused, as `make`."""
        bits = b"".join(keys.values())
        paths = self._paths(slaves, len(bits), terms)
        return self._draw(master, slaves, len(keys), key_bytes, paths, terms.hybrid, (tuple(keys), bits))

    async def work(self, work: Callable[[], T]) -> T:
        """Work on the store. Raises Refused where it cannot be done."""
        found: T = await self._store(work)
        return found

    def call(self, legs: Sequence[Leg]) -> None:
        """Have the outboxes of legs looked at now."""
        for leg in legs:
            for path in leg.paths:
                link = self.config.link_to(path[1])
                self.call_link(link.name if link else "")

    def call_link(self, link: str) -> None:
        """Have a link's outbox looked at now."""
        if link in self._calls:
            self._calls[link].set()

    async def _originate(self, made: Reservation, bits: bytes, legs: Sequence[Leg]) -> None:
        await self._store(lambda: self._pools.originate(made, bits, legs, now=time.time()))
        self.call(legs)

    def _paths(self, slaves: Mapping[str, Sequence[str]], size: int, terms: Terms) -> dict[str, list[Path]]:
        """Paths to each KME. Raises Refused."""
        if size > MOST_PAYLOAD_BYTES:
            raise Refused(400, "too many keys at once to be relayed", [{"bits_of_all_keys": 8 * MOST_PAYLOAD_BYTES}])
        wish = self._wish(terms, size + frames.TAG_KEY_BYTES)
        found = {kme: self.paths_to(kme, wish, max(terms.least_paths, self.settings.paths)) for kme in slaves}
        for kme, paths in found.items():
            if not paths:
                raise self._no_path(kme, wish)
            between = len(paths[0]) > 2
            if terms.route_type == "direct" and between:
                raise Refused(400, NOT_MET, [{ROUTE_TYPE: "the way is not direct"}])
            if between and len(paths) < terms.least_paths:
                raise Refused(400, NOT_MET, [{PATHS: f"there are {len(paths)} paths without a node in common"}])
        return found

    def _no_path(self, kme: str, wish: Wish) -> Refused:
        if self.paths_to(kme, replace(wish, need_bytes=0), 1):
            return Refused(503, NO_KEY, [{"available": 0}])
        if self.paths_to(kme, Wish(0), 1):
            return Refused(400, NOT_MET, [{ROUTE_TYPE: "no path is as short, or avoids as much, as it has to"}])
        event(logging.WARNING, "no path", to=kme)
        return Refused(503, NO_PATH)

    def _draw(
        self,
        master: str,
        slaves: Mapping[str, Sequence[str]],
        number: int,
        key_bytes: int,
        paths: Mapping[str, Sequence[Path]],
        hybrid: bool,
        given: tuple[tuple[str, ...], bytes] | None = None,
    ) -> tuple[Reservation, list[Leg], bytes]:
        """New keys from the operating system's randomness, or given ones, and the legs that take them to their KMEs."""
        names, bits = given or (
            tuple(str(uuid.uuid4()) for _ in range(number)),
            secrets.token_bytes(number * key_bytes),
        )
        every = [path for each in paths.values() for path in each]
        between = [len(each) for each in paths.values() if len(each[0]) > 2]
        extension: dict[str, Any] = {
            ORIGIN: "qkd-relayed" if between else "qkd-direct",
            ROUTE_TYPE: "indirect" if between else "direct",
            "kronborg_hops": max(len(path) for path in every) - 1,
            PATHS: min(between, default=1),
        }
        if any(self.topology.simulated(path, time.monotonic()) for path in every):
            extension[ORIGIN] = "simulated"
        made = Reservation(
            str(uuid.uuid4()),
            account_of(self.config.id),
            0,
            names,
            key_bytes,
            (),
            master,
            tuple(name for each in slaves.values() for name in each),
            self.config.keys.lifetime_seconds,
            extension,
        )
        if hybrid:
            made = replace(made, extension={**extension, HYBRID: NAME})
        legs = [self._leg(made, bits, kme, each, paths[kme], hybrid) for kme, each in slaves.items()]
        return made, legs, bits

    def _leg(
        self, made: Reservation, bits: bytes, kme: str, slaves: Sequence[str], paths: Sequence[Path], hybrid: bool
    ) -> Leg:
        """A leg of keys; what travels of hybrid ones lacks the KEM's part. Raises Refused."""
        if not hybrid:
            return Leg(kme, tuple(slaves), tuple(paths), bits)
        if made.key_bytes > MOST_KEY_BYTES:
            raise Refused(400, "size is out of range", [{"size": f"hybrid keys have at most {8 * MOST_KEY_BYTES}"}])
        try:
            kem, secret = encapsulate(self.topology.notice_of(kme, time.monotonic()), kme, self._trust)
        except NoKem as error:
            event(logging.ERROR, "no ML-KEM key of a KME", kme=kme, reason=str(error))
            raise Refused(503, "the KME of the slave SAE has no ML-KEM key to combine keys with") from None
        added = mask(secret, made.key_ids, made.key_bytes, made.master, kme)
        return Leg(kme, tuple(slaves), tuple(paths), frames.exclusive_or(bits, added), kem)

    # --- frames

    async def frames(self, link: Link, bodies: Sequence[bytes]) -> list[str]:
        """Take frames that a link's other end sent; returns the outcome of each."""
        now = time.time()
        taken: list[Taken] = await self._store(
            lambda: [self._pools.receive(link.name, link.peer, body, now) for body in bodies]
        )
        for each in taken:
            self._metrics.frames.labels(link.name, "in", each.reason or each.outcome).inc()
            if each.outcome == "refused":
                event(logging.WARNING, "frame refused", link=link.name, reason=each.reason)
            elif each.outcome == "repeated":
                event(logging.INFO, "frame repeated", link=link.name)
            self._follow(each)
        return [each.outcome for each in taken]

    def _follow(self, taken: Taken) -> None:
        """Do what has become due: what is known here, somebody may wait for."""
        self.call_link(taken.onward)
        if taken.stopped:
            self.topology.penalise([taken.stopped], time.monotonic())
        waiting = self._waiting.get(taken.session)
        if waiting is not None and not waiting.done() and taken.confirmed is not None:
            waiting.set_result(taken)

    async def keep(self) -> None:
        """Keep frames moving and neighbours informed, until cancelled."""
        await self._transport.start(self.frames)
        self._begin(self.config.links)
        self._work.append(asyncio.create_task(self._again("voids", lambda _: self._void(), None)))
        self._work.append(asyncio.create_task(self._again("links", lambda _: self._look(), None)))
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    def _begin(self, names: Iterable[str]) -> None:
        """Keep frames and news moving on links."""
        for name in names:
            self._calls[name] = asyncio.Event()
            link = self.config.links[name]
            self._work.append(asyncio.create_task(self._again("frames", self._move, link)))
            self._work.append(asyncio.create_task(self._again("adverts", self._tell, link)))

    def take_on(self, config: KmeConfig, channels: Mapping[str, Channel]) -> None:
        """Go on by another configuration, with these ways to the other ends of links that are new."""
        self.config = config
        self._channels.update(channels)
        for name in channels:
            self._told[name] = {}
            self._transport.take_on(config.links[name])
        if self._work:
            self._begin(channels)

    async def _again(self, what: str, work: Callable[[Any], Awaitable[None]], link: Link | None) -> None:
        while True:
            try:
                await work(link)
            except (PeerAbsent, PeerSilent, Refused):
                await asyncio.sleep(LOOK_SECONDS)  # the gauge says so, and the log of the store
            except Exception:
                LOGGER.exception("relay failed", extra={"fields": {"what": what, "link": link.name if link else ""}})
                await asyncio.sleep(LOOK_SECONDS)

    async def _move(self, link: Link) -> None:
        """Send what waits for one link, and note what came of it."""
        called = self._calls[link.name]
        batch: list[Waiting] = await self._store(lambda: self._pools.outbox(link.name))
        if not batch:
            # Not `wait_for`, which until Python 3.12 loses a cancellation that comes together with the call.
            waiting = asyncio.ensure_future(called.wait())
            try:
                await asyncio.wait([waiting], timeout=LOOK_SECONDS)
            finally:
                waiting.cancel()
            called.clear()
            return
        try:
            said = await self._transport.send(link, [each.body for each in batch])
        except (PeerAbsent, PeerSilent) as error:
            absent = isinstance(error, PeerAbsent)
            said = ["absent" if absent and each.kind is Kind.KEYS else "later" for each in batch]
            self.topology.penalise([(self.config.id, link.peer)], time.monotonic())
        now = time.time()
        good = [each.id for each, outcome in zip(batch, said, strict=True) if outcome in ("accepted", "repeated")]
        bad = [
            each.id
            for each, outcome in zip(batch, said, strict=True)
            if outcome in ("absent", "refused") or (outcome == "later" and each.expires < now)
        ]

        def settle() -> list[Taken | None]:
            self._pools.taken(good)
            return [self._pools.give_up(name, now) for name in bad]

        given_up: list[Taken | None] = await self._store(settle)
        for outcome in said:
            self._metrics.frames.labels(link.name, "out", outcome).inc()
        for each in given_up:
            if each is not None:
                self._follow(each)
        if len(good) < len(batch):
            await asyncio.sleep(RETRY_SECONDS)

    async def _void(self) -> None:
        """Tell far KMEs what will never be delivered."""
        for session, legs in await self._store(self._pools.sessions_to_void):
            paths = [self._way(kme, before) for kme, before in legs]
            try:
                await self._store(lambda s=session, p=paths: self._pools.void_session(s, p, time.time()))  # type: ignore[misc]
            except NotEnoughKey:
                continue
            for path in paths:
                link = self.config.link_to(path[1])
                self.call_link(link.name if link else "")
        await asyncio.sleep(LOOK_SECONDS)

    def _way(self, kme: str, before: Sequence[Path]) -> Path:
        found = self.paths_to(kme, Wish(frames.TAG_KEY_BYTES), 1)
        return found[0] if found else before[0]

    # --- what nodes tell each other

    async def _look(self) -> None:
        """See what this node's links have, and make its word of it anew."""
        links = self.config.links.values()
        pools = [(link.name, self._pools.node.pool_to(link.peer)) for link in links]
        stored: list[int] = await self._store(lambda: [self._pools.available(*each) for each in pools])
        states = [
            LinkState(link.peer, self._channels[link.name].up, size, link.simulated)
            for link, size in zip(links, stored, strict=True)
        ]
        self.topology.tell(states, self._kem.notice(), time.monotonic())
        self._metrics.nodes.set(len(self.topology.known(time.monotonic())))
        await asyncio.sleep(TELL_SECONDS)

    async def _tell(self, link: Link) -> None:
        """Tell a neighbour what it has not heard from here."""
        told = self._told[link.name]
        news = [each for each in self.topology.known(time.monotonic()) if each.sequence > told.get(each.node, 0)]
        news = news[:MOST_TOLD]
        if news:
            try:
                await self._channels[link.name].tell([_advert_to_json(each) for each in news])
            except (PeerAbsent, PeerSilent):
                told.clear()
                raise
            told.update({each.node: each.sequence for each in news})
            known = {each.node for each in self.topology.known(time.monotonic())}
            for node in told.keys() - known:
                del told[node]
        if len(news) < MOST_TOLD:
            await asyncio.sleep(LOOK_SECONDS)

    def hear(self, link: Link, adverts: Sequence[Advert]) -> None:
        """Note what a neighbour tells."""
        self.topology.hear(adverts, time.monotonic())

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()


def _edges(paths: Mapping[str, Sequence[Path]]) -> list[tuple[str, str]]:
    return [edge for each in paths.values() for path in each for edge in itertools.pairwise(path)]


def _advert_to_json(advert: Advert) -> dict[str, Any]:
    links = [
        {"peer": each.peer, "up": each.up, "stored_bytes": each.stored_bytes, "simulated": each.simulated}
        for each in advert.links
    ]
    return {"node": advert.node, "sequence": advert.sequence, "links": links, "notice": advert.notice}
