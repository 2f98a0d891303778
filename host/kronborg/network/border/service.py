"""The gateway's half that talks: to the other operator's key manager, in the same trusted node, over mutual TLS."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..key_pools import NotEnoughKey
from ..kme.channel import Connection, PeerAbsent, PeerSilent
from ..kme.config import KmeConfig
from ..kme.log import LOGGER, AuditLog, event
from ..kme.terms import terms_of
from ..kme.tls import Credentials
from ..kme.wire import Refused
from ..material import Conflict
from ..relay.service import Relay
from .store import GatewayStore, Handover

LOOK_SECONDS = 0.1
PATH = "/kmapi/v1/ext_keys"


class Gateway:
    """A border of this node.

    Args:
        config: has border settings and relay settings.
        pools: its keys.
        relay: takes keys from abroad on, and tells origins of those that went there.
        credentials: for the other operator, whose authority is another one.
        audit: notes what crosses.
    """

    def __init__(
        self, config: KmeConfig, pools: GatewayStore, relay: Relay, credentials: Credentials, audit: AuditLog
    ) -> None:
        assert config.border is not None
        self.config, self.border = config, config.border
        self._pools, self._relay, self._audit = pools, relay, audit
        pools.abroad, pools.patience_seconds = frozenset(self.border.saes), self.border.patience_seconds
        self._connection = Connection(self.border.address, self.border.peer, credentials.client())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"to {self.border.peer}")

    def take_on(self, config: KmeConfig) -> None:
        """Go on by another configuration: other SAEs, on either side of the border."""
        assert config.border is not None
        self.config, self.border = config, config.border
        self._pools.abroad = frozenset(self.border.saes)

    async def _post(self, path: str, body: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.post, path, body)

    # --- what the other operator asks

    async def take(
        self, keys: Mapping[str, bytes], initiator: str, targets: Sequence[str], mandatory: Sequence[Mapping[str, Any]]
    ) -> None:
        """Take keys from abroad and send them on; how it went is acknowledged later.

        Raises:
            Refused: 400 where they cannot be for these SAEs, 503 where they cannot be sent now.
        """
        if initiator not in self.border.saes:
            raise Refused(400, "the initiator is not an SAE behind this border")
        sizes = {len(bits) for bits in keys.values()}
        if len(sizes) != 1 or not self.config.keys.min_size <= 8 * min(sizes) <= self.config.keys.max_size:
            raise Refused(400, "keys are of different sizes, or out of range")
        slaves: dict[str, list[str]] = {}
        for each in dict.fromkeys(targets):
            kme = self.config.saes.get(each)
            if kme is None or each in self.border.saes or kme == self.config.id:
                raise Refused(400, "no route leads to a target SAE")
            slaves.setdefault(kme, []).append(each)
        terms = terms_of(self.config, initiator, targets, mandatory, ())
        made, legs, bits = self._relay.prepare(initiator, slaves, keys, min(sizes), terms)
        try:
            known = await self._relay.work(lambda: self._pools.known(list(keys)))
            if known:
                raise Refused(400, "a key_id is taken")
            await self._relay.work(lambda: self._pools.take_in(made, bits, legs, time.time()))
        except NotEnoughKey:
            raise Refused(503, "insufficient key material") from None
        except Conflict:
            raise Refused(503, "so many keys do not fit into a frame: send fewer at once") from None
        self._relay.call(legs)
        event(logging.INFO, "keys from abroad", peer=self.border.peer, number=len(keys), initiator=initiator)

    async def acknowledge(self, key_ids: Sequence[str], target: str, status: str) -> None:
        """Note what became of keys that went abroad."""
        for link in await self._relay.work(lambda: self._pools.acknowledged(key_ids, target, status, time.time())):
            self._relay.call_link(link)

    async def void(self, key_ids: Sequence[str] | None) -> None:
        """Void keys from abroad."""
        await self._relay.work(lambda: self._pools.void_in(key_ids))

    # --- by itself

    async def keep(self) -> None:
        """Hand keys over, and tell what became of keys, until cancelled."""
        while True:
            try:
                await self._hand_over()
                await self._void_abroad()
                await self._answer()
            except (PeerAbsent, PeerSilent, Refused):
                pass  # it is tried again; what is overdue is given up
            except Exception:
                LOGGER.exception("border failed", extra={"fields": {"peer": self.border.peer}})
            await asyncio.sleep(LOOK_SECONDS)

    async def _hand_over(self) -> None:
        for session in await self._relay.work(lambda: self._pools.overdue(time.time())):
            await self._fail(session, "overdue")
        for each in await self._relay.work(self._pools.to_hand_over):
            # Noted before they leave this node.
            self._audit.delivered(
                role="border",
                sae=self.border.peer,
                peers=[each.initiator, *each.targets],
                link="",
                key_ids=each.key_ids,
            )
            try:
                await self._post(PATH, self._container(each))
            except PeerSilent:
                await self._fail(each.session, "refused")
                continue
            await self._relay.work(partial(self._pools.handed_over, each.session, time.time()))

    def _container(self, each: Handover) -> dict[str, Any]:
        return {
            "keys": [
                {"key_id": name, "value": base64.b64encode(bits).decode()}
                for name, bits in zip(each.key_ids, each.keys, strict=True)
            ],
            "initiator_sae_id": each.initiator,
            "target_sae_ids": list(each.targets),
            "ack_callback_url": f"https://{self.border.listen}{PATH}/ack",
        }

    async def _fail(self, session: str, reason: str) -> None:
        event(logging.WARNING, "keys did not go abroad", peer=self.border.peer, session=session, reason=reason)
        taken = await self._relay.work(lambda: self._pools.fail(session, time.time()))
        self._relay.call_link(taken.onward)

    async def _void_abroad(self) -> None:
        for each in await self._relay.work(self._pools.to_void_abroad):
            body = {
                "key_ids": [{"key_id": name} for name in each.key_ids],
                "initiator_sae_id": each.initiator,
                "target_sae_ids": list(each.targets),
            }
            try:
                await self._post(f"{PATH}/void", body)
            except PeerSilent:
                event(logging.WARNING, "the other operator does not void keys", peer=self.border.peer)
            await self._relay.work(partial(self._pools.settle_handover, each.session))

    async def _answer(self) -> None:
        for each in await self._relay.work(lambda: self._pools.to_acknowledge(time.time())):
            body = [
                {
                    "key_ids": [{"key_id": name} for name in each.key_ids],
                    "ack_status": each.answer,
                    "initiator_sae_id": each.initiator,
                    "target_sae_id": target,
                }
                for target in each.targets
            ]
            await self._post(f"{PATH}/ack", body)
            await self._relay.work(partial(self._pools.settle_handover, each.session))

    async def close(self) -> None:
        """Let go of the connection."""
        self._thread.shutdown()
        self._connection.close()
