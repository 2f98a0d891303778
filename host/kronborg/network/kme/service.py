"""What a KME does, whoever asks it and how: status, keys for masters, keys for slaves, and agreement with its peers."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..backup import Renunciation
from ..database import StoreDamaged, StoreError
from ..key_pools import Key, KeysNotFound, NotEnoughKey, NotEntitled, Reservation
from ..material import ITEMS, Conflict, Segment
from ..relay.store import RelayStore, account_of
from .channel import Channel, PeerAbsent, PeerRefuses, PeerSilent
from .config import KmeConfig, Link
from .log import LOGGER, AuditLog, event
from .metrics import Metrics
from .terms import NO_KEY, NOT_MET, ORIGIN, ROUTE_TYPE, Terms, terms_of
from .wire import Refused
from .worker import Worker

if TYPE_CHECKING:
    from ..border.service import Gateway
    from ..relay.service import Relay

T = TypeVar("T")
POLL_SECONDS = 0.5
"""How often a link is looked at: new blocks, reservations to void, keys whose time is over."""
PURGE_SECONDS = 30.0
BLOCKS_AT_ONCE = 4

NOT_FOUND = "one or more keys specified are not found on KME"
SIZE = "size shall be a multiple of 8"


@dataclass(frozen=True)
class Wanted:
    """A Get key call (table 10), with its defaults filled in by the service."""

    number: int | None = None
    size: int | None = None
    additional: Sequence[str] = ()
    mandatory: Sequence[Mapping[str, Any]] = ()
    optional: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Delivered:
    """Keys on their way to an SAE; each says what is said of it."""

    keys: Sequence[Key]


class KeyService:
    """A KME without its interfaces.

    Args:
        config: its configuration.
        pools: its keys; checked by the caller.
        worker: carries out what is done to them.
        channels: the way to the other end of each link, by the link's name.
        audit: notes deliveries.
        metrics: counts.

    Attributes:
        relay, gateway: over trusted nodes, and to another operator, where the configuration has them; set by whoever
            makes both.
    """

    def __init__(
        self,
        config: KmeConfig,
        pools: RelayStore,
        worker: Worker,
        channels: Mapping[str, Channel],
        audit: AuditLog,
        metrics: Metrics,
    ) -> None:
        self.config, self.metrics = config, metrics
        self._pools, self._worker, self._audit = pools, worker, audit
        self._channels = dict(channels)
        self._house: list[asyncio.Task[None]] = []
        self._goes_on: set[str] = set()
        self.relay: Relay | None = None
        self.gateway: Gateway | None = None
        self._damaged = False
        metrics.store_sound.set(1)

    async def store(self, work: Callable[[], T], *, alone: bool = False) -> T:
        """Work on the store. Raises Refused 503 where it cannot be done; a damaged store is not touched again."""
        if self._damaged:
            raise Refused(503, "the key store is damaged: ask the operator")
        try:
            return await self._worker.run(work, alone=alone)
        except StoreDamaged as error:
            self._damaged = True
            self.metrics.store_sound.set(0)
            event(logging.CRITICAL, "key store damaged", reason=str(error))
            raise Refused(503, "the key store is damaged: ask the operator") from None
        except (NotEnoughKey, KeysNotFound, NotEntitled, Conflict):
            raise
        except StoreError as error:
            event(logging.ERROR, "key store failed", reason=str(error))
            raise Refused(503, "the key store cannot be used now") from None

    # --- for SAEs

    def own_sae(self, sae: str) -> bool:
        """Whether this KME serves the SAE."""
        abroad = self.config.border.saes if self.config.border else ()
        return self.config.saes.get(sae) == self.config.id and sae not in abroad

    def _kme_of(self, master: str, slave: str) -> str:
        """The KME of a slave SAE. Raises Refused."""
        if slave == master:
            raise Refused(400, "an SAE shares no key with itself")
        where = self.config.saes.get(slave)
        if where is None:
            raise Refused(400, "the SAE is not known in this network")
        if where == self.config.id or (self.relay is None and self.config.link_to(where) is None):
            raise Refused(400, "no link leads to this SAE's KME")
        return where

    def _own_pool(self, link: Link) -> int:
        return 0 if self.config.id < link.peer else 1

    async def status(self, master: str, slave: str) -> dict[str, Any]:
        """Status (table 9) between the caller and a slave SAE. Raises Refused."""
        kme, keys = self._kme_of(master, slave), self.config.keys
        terms = terms_of(self.config, master, [slave], (), ())
        link, ready, extension = self.config.link_to(kme), 0, dict[str, Any]()
        if link is not None and terms.route_type != "indirect":
            name, pool = link.name, self._own_pool(link)
            ready = await self.store(lambda: self._pools.available(name, pool))
            extension = {"kronborg_peer_up": self._channels[name].up, **_origin(link)}
        elif self.relay is not None:
            ready = self.relay.stored_bytes(kme, terms)
            extension = {"kronborg_peer_up": ready > 0, ROUTE_TYPE: "indirect"}
        return {
            "source_KME_ID": self.config.id,
            "target_KME_ID": kme,
            "master_SAE_ID": master,
            "slave_SAE_ID": slave,
            "key_size": keys.default_size,
            "stored_key_count": min(ready // (keys.default_size // 8), keys.max_count),
            "max_key_count": keys.max_count,
            "max_key_per_request": keys.max_per_request,
            "max_key_size": keys.max_size,
            "min_key_size": keys.min_size,
            "max_SAE_ID_count": keys.max_additional_saes,
            "status_extension": extension,
        }

    async def keys_for_master(self, master: str, slave: str, wanted: Wanted) -> Delivered:
        """Get key: fresh keys, which the slave's KME has set aside by the time that they go out.

        Raises:
            Refused: with the standard's code and message.
        """
        number, size = self._amount(wanted)
        slaves = self._slaves(master, slave, wanted.additional)
        terms = terms_of(self.config, master, [slave, *wanted.additional], wanted.mandatory, wanted.optional)
        way, id = await self._make(master, slaves, number, size // 8, terms)
        try:
            keys = await self.store(lambda: self._pools.deliver_to_master(id, time.time()))
        except KeysNotFound:
            raise Refused(503, "the keys were voided before they could be delivered") from None
        await self._note("master", master, [slave, *wanted.additional], way, keys)
        return Delivered(keys)

    async def _make(
        self, master: str, slaves: Mapping[str, Sequence[str]], number: int, key_bytes: int, terms: Terms
    ) -> tuple[str, str]:
        """Have keys ready at both ends: over the direct link where there is one, else over trusted nodes.

        Returns: the link, or the account of relayed keys, and the reservation.
        """
        link = self.config.link_to(next(iter(slaves)))
        if link is None or len(slaves) > 1 or terms.hybrid or terms.route_type == "indirect":
            return await self._make_relayed(master, slaves, number, key_bytes, terms)
        origin = _origin(link)[ORIGIN]
        if terms.origin in ("", origin):
            try:
                return link.name, await self._make_direct(link, master, slaves[link.peer], number, key_bytes)
            except Refused as error:
                if self.relay is None or terms.route_type == "direct" or terms.origin or error.status != 503:
                    raise
                # Never silently: the keys say so, the log does, and an SAE or a policy can rule it out.
                event(logging.WARNING, "relayed, for the direct link cannot serve", link=link.name, reason=str(error))
                self.metrics.indirect.labels(link.name).inc()
                try:
                    around = replace(terms, route_type="indirect")
                    return await self._make_relayed(master, slaves, number, key_bytes, around)
                except Refused:
                    raise error from None
        return await self._make_relayed(master, slaves, number, key_bytes, terms)

    async def _make_relayed(
        self, master: str, slaves: Mapping[str, Sequence[str]], number: int, key_bytes: int, terms: Terms
    ) -> tuple[str, str]:
        if self.relay is None:
            raise Refused(400, NOT_MET, [{ROUTE_TYPE: "this key's route is direct"}])
        return account_of(self.config.id), await self.relay.make(master, slaves, number, key_bytes, terms)

    async def _make_direct(self, link: Link, master: str, slaves: Sequence[str], number: int, key_bytes: int) -> str:
        id, names = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(number)]
        try:
            made = await self.store(
                lambda: self._pools.reserve(
                    link.name,
                    self._own_pool(link),
                    id=id,
                    key_ids=names,
                    key_bytes=key_bytes,
                    master=master,
                    slaves=slaves,
                    now=time.time(),
                    lifetime_seconds=self.config.keys.lifetime_seconds,
                    extension=_origin(link),
                )
            )
        except NotEnoughKey as error:
            raise Refused(503, NO_KEY, [{"available": error.available}]) from None
        await self._agree(link, made)
        return id

    def _amount(self, wanted: Wanted) -> tuple[int, int]:
        keys = self.config.keys
        number = 1 if wanted.number is None else wanted.number
        size = keys.default_size if wanted.size is None else wanted.size
        if not 1 <= number <= keys.max_per_request:
            raise Refused(400, "number is out of range", [{"number": f"1 to {keys.max_per_request}"}])
        if size % 8:
            raise Refused(400, SIZE)
        if not keys.min_size <= size <= keys.max_size:
            raise Refused(400, "size is out of range", [{"size": f"{keys.min_size} to {keys.max_size}"}])
        return number, size

    def _slaves(self, master: str, slave: str, additional: Sequence[str]) -> dict[str, list[str]]:
        """All slave SAEs by their KMEs. Raises Refused."""
        most = self.config.keys.max_additional_saes
        if len(additional) > most:
            raise Refused(400, "too many additional_slave_SAE_IDs", [{"max_SAE_ID_count": most}])
        slaves = [slave, *additional]
        if len(set(slaves)) != len(slaves):
            raise Refused(400, "an SAE is named twice")
        by_kme: dict[str, list[str]] = {}
        for each in slaves:
            by_kme.setdefault(self._kme_of(master, each), []).append(each)
        if len(by_kme) > 1 and self.relay is None:
            raise Refused(400, "an additional slave SAE is served by another KME than the slave SAE")
        return by_kme

    async def _agree(self, link: Link, made: Reservation) -> None:
        """Have the other end set the keys aside. Raises Refused 503, with nothing left behind that could be used."""
        try:
            await self._channels[link.name].reserve(made)
        except PeerAbsent:
            # Where a key's time is shorter than a connection takes to fail, they are void already.
            with suppress(KeysNotFound):
                await self.store(lambda: self._pools.release(made.id))
            raise Refused(503, "the KME of the slave SAE cannot be reached") from None
        except (PeerSilent, PeerRefuses) as error:
            event(logging.WARNING, "reservation voided", link=link.name, reason=type(error).__name__)
            self.metrics.voided.labels(link.name).inc()
            await self.store(lambda: self._pools.abandon(made.id))
            raise Refused(503, "the KME of the slave SAE did not confirm the keys") from None

    async def keys_for_slave(self, slave: str, master: str, key_ids: Sequence[str]) -> Delivered:
        """Get key with key IDs: keys that a master's KME set aside for this SAE.

        Raises:
            Refused: 400 where one is not found, 401 where one is not for this SAE.
        """
        if not 1 <= len(key_ids) <= self.config.keys.max_per_request:
            raise Refused(400, "the number of key_IDs is out of range", [{"key_IDs": self.config.keys.max_per_request}])
        try:
            keys = await self.store(
                lambda: self._pools.deliver_to_slave(key_ids, master=master, slave=slave, now=time.time())
            )
        except KeysNotFound:
            raise Refused(400, NOT_FOUND) from None
        except NotEntitled:
            event(logging.WARNING, "key of another SAE asked for", sae=slave, master=master, key_ids=list(key_ids))
            raise Refused(401, "the SAE is not one that these keys are for") from None
        link = self.config.link_to(self.config.saes.get(master, ""))
        await self._note("slave", slave, [master], link.name if link else "", keys)
        return Delivered(keys)

    async def _note(self, role: str, sae: str, peers: Sequence[str], link: str, keys: Sequence[Key]) -> None:
        try:
            self._audit.delivered(role=role, sae=sae, peers=peers, link=link, key_ids=[key.id for key in keys])
        except StoreError as error:
            event(logging.ERROR, "audit log failed", reason=str(error))
            raise Refused(503, "the delivery cannot be noted in the audit log") from None
        self.metrics.keys.labels(role).inc(len(keys))

    # --- for other KMEs

    def link_of(self, peer: str, name: str) -> Link:
        """The link of that name, if it leads to the KME that calls. Raises Refused."""
        link = self.config.links.get(name)
        if link is None or link.peer != peer:
            raise Refused(401, "this KME is not at the other end of such a link")
        return link

    async def accept(self, link: Link, reservations: Sequence[Reservation]) -> list[str]:
        """Set material aside that the other end reserved; returns the names of those that could be."""
        longest, now = self.config.keys.lifetime_seconds, time.time()

        def work() -> list[str]:
            accepted = []
            for made in reservations:
                if self._acceptable(link, made):
                    with suppress(Conflict):
                        lifetime = min(made.lifetime_seconds, longest)
                        self._pools.accept(replace(made, lifetime_seconds=lifetime, extension=_origin(link)), now)
                        accepted.append(made.id)
            return accepted

        accepted = await self.store(work)
        for made in reservations:
            if made.id not in accepted:
                event(logging.WARNING, "reservation refused", link=link.name, reservation=made.id)
        return accepted

    def _acceptable(self, link: Link, made: Reservation) -> bool:
        return (
            made.pool == 1 - self._own_pool(link)
            and self.config.saes.get(made.master) == link.peer
            and all(self.own_sae(slave) for slave in made.slaves)
            and len(set(made.slaves)) == len(made.slaves) > 0
            and sum(each.length for each in made.segments) == made.size > 0
        )

    async def void(
        self, link: Link, voided: Sequence[tuple[str, int, Sequence[Segment]]]
    ) -> tuple[list[str], list[str]]:
        """Erase what the other end will never deliver; returns the names, and those that had been acted upon."""
        now, mine = time.time(), [each for each in voided if each[1] == 1 - self._own_pool(link)]
        used: list[str] = await self.store(
            lambda: [each[0] for each in mine if self._pools.void(each[0], link.name, *each[1:], now)]
        )
        return [name for name, *_ in mine], used

    async def compare(self, link: Link, challenges: Mapping[int, bytes]) -> dict[int, bool | None]:
        """Answer the other end's questions about blocks."""
        if self._own_pool(link) == 0:
            raise Refused(400, "this end of the link asks, and the other answers")

        def work() -> dict[int, bool | None]:
            return {sequence: self._pools.compare(link.name, sequence, asked) for sequence, asked in challenges.items()}

        answers = await self.store(work)
        for same in answers.values():
            self._count_block(link, same)
        return answers

    async def begin_anew(self, link: Link) -> int:
        """Void all of a link, for the other end has lost what it held; returns the number of the last block."""
        event(logging.WARNING, "the link's other end begins anew: all keys of it void", link=link.name)
        return await self.store(lambda: Renunciation(self._pools.database).give_up(link.name))

    async def _tell_anew(self, link: Link) -> None:
        """If this end begins anew, have the other end do the same. That is decided before a KME starts."""
        if link.name in self._goes_on:
            return
        anew = Renunciation(self._pools.database)
        if link.name in await self.store(anew.to_tell):
            last = await self._channels[link.name].begin_anew()
            await self.store(lambda: anew.told(link.name, last))
            event(logging.WARNING, "begun anew: the other end has voided its keys", link=link.name, last_block=last)
        self._goes_on.add(link.name)

    def _count_block(self, link: Link, same: bool | None) -> None:
        if same is not None:
            self.metrics.blocks.labels(link.name, "equal" if same else "unequal").inc()
        if same is False:
            event(logging.ERROR, "blocks differ between both ends: void", link=link.name)

    # --- by itself

    async def recover(self) -> None:
        """Abandon what a process that died left open."""
        left = await self.store(self._pools.abandon_open)
        if left:
            event(logging.WARNING, "reservations of the last run voided", number=left)

    async def keep_house(self) -> None:
        """Look after links and store until cancelled."""
        work = [self._keep(link) for link in self.config.links.values()]
        if self.relay is not None:
            work.append(self.relay.keep())
        if self.gateway is not None:
            work.append(self.gateway.keep())
        self._house = [asyncio.create_task(each) for each in (*work, self._keep_store())]
        try:
            # None of them ends by itself; links that come later are among them.
            await asyncio.Event().wait()
        finally:
            for task in self._house:
                task.cancel()
            await asyncio.gather(*self._house, return_exceptions=True)

    def take_on(self, config: KmeConfig, channels: Mapping[str, Channel]) -> None:
        """Serve by another configuration from now on: one with more links, other SAEs or other policies.

        Args:
            config: it.
            channels: the ways to the other ends of the links that are new.
        """
        self.config = config
        self._channels.update(channels)
        if self.relay is not None:
            self.relay.take_on(config, channels)
        if self.gateway is not None:
            self.gateway.take_on(config)
        if self._house:
            self._house += [asyncio.create_task(self._keep(config.links[name])) for name in channels]

    async def _keep(self, link: Link) -> None:
        while True:
            try:
                await self._look_after(link)
            except (PeerAbsent, PeerSilent, Refused):
                pass  # the gauge says so, and the log of the store
            except Exception:
                LOGGER.exception("housekeeping failed", extra={"fields": {"link": link.name}})
            self.metrics.peer_up.labels(link.name).set(self._channels[link.name].up)
            await asyncio.sleep(POLL_SECONDS)

    async def _keep_store(self) -> None:
        purged = time.monotonic()
        while True:
            due = time.monotonic() - purged > PURGE_SECONDS
            try:
                await self._tidy(purge=due)
            except Refused:
                pass  # it has been logged
            except Exception:
                LOGGER.exception("housekeeping failed", extra={"fields": {}})
            if due:
                purged = time.monotonic()
            await asyncio.sleep(POLL_SECONDS)

    async def _look_after(self, link: Link) -> None:
        channel, pools = self._channels[link.name], self._pools
        await self._tell_anew(link)
        voided = await self.store(lambda: pools.to_void(link.name))
        # An empty message asks whether anybody is there.
        done, used = await channel.void(voided)
        if done:
            await self.store(lambda: pools.close(done, used))
        if self._own_pool(link) != 0:
            return

        def ask() -> dict[int, bytes]:
            asked = {
                each: pools.challenge(link.name, each) for each in pools.blocks_to_check(link.name)[:BLOCKS_AT_ONCE]
            }
            return {sequence: challenge for sequence, challenge in asked.items() if challenge is not None}

        challenges = await self.store(ask)
        if not challenges:
            return
        answers = await channel.compare(challenges)

        def settle() -> None:
            for sequence, same in answers.items():
                pools.settle_check(link.name, sequence, same)

        await self.store(settle)
        for same in answers.values():
            self._count_block(link, same)

    async def _tidy(self, *, purge: bool) -> None:
        now, pools = time.time(), self._pools
        places = [(link, pool) for link in self.config.links.values() for pool in (0, 1)]
        expired, accounts = await self.store(
            lambda: (pools.expire(now), [pools.account(link.name, pool) for link, pool in places])
        )
        if expired:
            event(logging.INFO, "reservations expired", number=expired)
        for (link, pool), account in zip(places, accounts, strict=True):
            direction = "out" if pool == self._own_pool(link) else "in"
            for item in ITEMS:
                self.metrics.pool.labels(link.name, direction, item).set(account[item])
        if purge:
            await self.store(lambda: pools.forget(now - self.config.keys.keep_names_seconds))
            await self.store(pools.database.purge, alone=True)


def _origin(link: Link) -> dict[str, Any]:
    """What is said of keys of a direct link."""
    return {ORIGIN: "simulated" if link.simulated else "qkd-direct", ROUTE_TYPE: "direct"}
