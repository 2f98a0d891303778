"""An agent as a process: it fetches keys, agrees with the agent at the other end, and changes them in the encryptor.

    master                                            slave
    key from its KME (enc_keys)
    prepare ─────── name of the key ────────────────► the same key from its KME (dec_keys)
    switch ─────────────────────────────────────────► in force
    in force         ◄────────────────────────────────
    hello ──────────────────────────────────────────► the older key is forgotten

Between the two that put the key in force lies the way of one message. Whatever goes wrong, the master says hello, hears
which key is in force at the other end, and where it is not its own fetches a new one: nothing is patched up.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Literal

from prometheus_client import start_http_server

from ...errors import InputError, KronborgError
from ..certificates import check_taken, identity_of, load
from ..database import StoreError
from ..identity import Identity
from ..kme.log import AuditLog, event
from ..kme.tls import Credentials
from ..tasks import cancelled, hang_up_waits
from .config import AgentConfig
from .guardian import Guardian
from .keeper import Encryptor, EncryptorError, Keeper, StateFile
from .kme_client import KmeClient, KmeFails
from .messages import Answer, Caller, Listener, Message, PeerFails
from .metrics import Metrics

HELLO_SECONDS = 2.0
"""So often the master asks how the other end is."""
LOOK_SECONDS = 1.0
"""So often the key's age is looked at, and the tunnel."""
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0
"""After a key that came to nothing: the first pause, which doubles up to the last."""
SILENT_SECONDS = 15.0
"""A master that was not heard for so long counts as gone."""
RENEWAL_SECONDS = 5.0


class Agent:
    """One end of a tunnel.

    Args:
        config: its configuration.
        encryptor: the tunnel.

    Raises:
        InputError: a file of its configuration cannot be used.
    """

    def __init__(self, config: AgentConfig, encryptor: Encryptor) -> None:
        self.config, self.metrics = config, Metrics()
        self._held = ExitStack()
        self._credentials = Credentials(config.certificate, config.key, config.ca, config.crl)
        self._own_certificate()
        self._tell_expiry()
        self._kme = KmeClient(config.kme, config.kme_id, self._credentials, config.require, simulated=config.simulated)
        self._audit = AuditLog(config.audit_log)
        self._held.callback(self._audit.close)
        self.keeper = Keeper(encryptor, StateFile(config.state), config.lifetime_seconds, self._note)
        # One thread: what is done to the keys is done one after the other, and closing comes after all of it.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="encryptor")
        self._held.callback(self._worker.shutdown)
        self._caller = Caller(config.agent, config.peer, self._credentials.client())
        self._listener: Listener | None = None
        self._heard = 0.0
        self._not_before, self._retry = 0.0, FIRST_RETRY_SECONDS
        self._last_failure = ""

    def _own_certificate(self) -> None:
        if identity_of(load(self.config.certificate)) != Identity("sae", self.config.id):
            raise InputError(f"{self.config.certificate} is not the certificate of SAE {self.config.id}")
        check_taken(self.config.certificate, self.config.ca)

    def _tell_expiry(self) -> None:
        self.metrics.certificate_expiry.set(load(self.config.certificate).not_valid_after_utc.timestamp())

    def _note(self, what: str, **fields: object) -> None:
        self._audit.note(what, sae=self.config.id, peer=self.config.peer, **fields)

    # --- both ends

    async def _do(self, work: Callable[[], None]) -> None:
        """Something done to the keys, one thing at a time."""
        await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _failure(self, outcome: str, reason: str) -> None:
        """Count what failed; log it once, not each time that it is tried again."""
        self.metrics.rotations.labels(outcome).inc()
        if reason != self._last_failure:
            event(logging.WARNING, "no new key", outcome=outcome, reason=reason)
        self._last_failure = reason

    def _success(self) -> None:
        self.metrics.rotations.labels("changed").inc()
        self._last_failure = ""

    async def _watch(self, guardian: Guardian) -> None:
        """Close the tunnel when its key is too old, look after it, and say how it is."""
        while True:
            with suppress(EncryptorError):
                await self._do(lambda: self.keeper.look(at_tunnel=True))
                guardian.look()
                self.metrics.exchanged.set(0.0 if self.keeper.closed else self.keeper.encryptor.exchanged_at())
            self.metrics.open.set(not self.keeper.closed)
            self.metrics.age.set(0.0 if self.keeper.closed else self.keeper.age())
            if not self.config.master:
                self.metrics.peer_up.set(time.monotonic() - self._heard < SILENT_SECONDS)
            await asyncio.sleep(min(LOOK_SECONDS, max(0.1, self.keeper.left())))

    async def _keep_certificates(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            self.renew()

    def renew(self) -> None:
        """Take renewed certificates."""
        try:
            changed = self._credentials.renew(self._own_certificate)
            if changed:
                self._tell_expiry()
                event(logging.INFO, "certificates renewed", sae=self.config.id)
        except InputError as error:
            event(logging.ERROR, "certificates not renewed", reason=str(error))
            return
        if changed & {self.config.ca, self.config.crl}:
            # Whoever is connected has to show again who it is: it may have been revoked.
            self._caller.close()
            if self._listener is not None:
                self._listener.hang_up()

    def _hang_up(self) -> None:
        """SIGHUP: certificates at once, and a new audit log if the old one was moved away."""
        with suppress(InputError):
            self._audit.reopen()
        self.renew()

    # --- the master

    async def _lead(self) -> None:
        while True:
            try:
                await self._turn()
            except PeerFails as error:
                self.metrics.peer_up.set(0)
                self._failure("peer", str(error))
            await asyncio.sleep(min(HELLO_SECONDS, self.config.rotate_seconds / 4))

    async def _turn(self) -> None:
        """Hear how the other end is, and change the key where it is time. Raises PeerFails."""
        keeper = self.keeper
        theirs = (await self._caller.say("hello", keeper.current)).key_id
        self.metrics.peer_up.set(1)
        if keeper.staged is not None and theirs == keeper.staged.id:
            # The answer to `switch` was lost.
            await self._finish(theirs)
            return
        if theirs is not None and theirs == keeper.current:
            await self._settle()
            if keeper.age() < self.config.rotate_seconds:
                return
        if time.monotonic() >= self._not_before:
            await self._rotate()

    async def _rotate(self) -> None:
        """A new key, from the KME into both encryptors. Raises PeerFails."""
        self._not_before = time.monotonic() + self._retry
        self._retry = min(2 * self._retry, LAST_RETRY_SECONDS, self.config.rotate_seconds)
        try:
            key = await asyncio.get_running_loop().run_in_executor(None, self._kme.new_key, self.config.peer)
        except KmeFails as error:
            self.metrics.kme_up.set(0)
            self._failure("kme", str(error))
            return
        self.metrics.kme_up.set(1)
        if not await self._agreed("prepare", key.id):
            return
        try:
            await self._do(lambda: self.keeper.stage(key))
        except EncryptorError as error:
            self._failure("encryptor", str(error))
            return
        if await self._agreed("switch", key.id):
            await self._finish(key.id)

    async def _agreed(self, do: Literal["prepare", "switch"], key_id: str) -> bool:
        answer = await self._caller.say(do, key_id)
        if answer.key_id != key_id:
            outcome = answer.reason or "unknown"
            self._failure(outcome, f"{self.config.peer} cannot {do}: {outcome}")
        return answer.key_id == key_id

    async def _finish(self, key_id: str) -> None:
        """The other end uses the key that waits: use it too."""
        try:
            await self._do(lambda: self.keeper.switch(key_id))
        except (EncryptorError, StoreError) as error:
            self._failure("audit" if isinstance(error, StoreError) else "encryptor", str(error))
            return
        self._not_before, self._retry = 0.0, FIRST_RETRY_SECONDS
        self._success()
        await self._caller.say("hello", key_id)
        await self._settle()

    async def _settle(self) -> None:
        with suppress(EncryptorError):
            await self._do(self.keeper.settle)

    # --- the slave

    async def _answer(self, message: Message) -> Answer:
        """What to say to the master."""
        self._heard, keeper = time.monotonic(), self.keeper
        if message.do == "hello":
            if message.key_id is not None and message.key_id == keeper.current:
                await self._settle()
            return Answer(key_id=keeper.current)
        key_id = message.key_id
        if key_id is None:
            return Answer(reason="unknown")
        try:
            if message.do == "prepare":
                if keeper.staged is None or keeper.staged.id != key_id:
                    await self._fetch(key_id)
            elif keeper.current != key_id:
                if keeper.staged is None or keeper.staged.id != key_id:
                    return Answer(reason="unknown")
                await self._do(lambda: keeper.switch(key_id))
                self._success()
        except KmeFails as error:
            self.metrics.kme_up.set(0)
            self._failure("kme", str(error))
            return Answer(reason="kme")
        except StoreError as error:
            self._failure("audit", str(error))
            return Answer(reason="audit")
        except EncryptorError as error:
            self._failure("encryptor", str(error))
            return Answer(reason="encryptor")
        return Answer(key_id=key_id)

    async def _fetch(self, key_id: str) -> None:
        key = await asyncio.get_running_loop().run_in_executor(None, self._kme.key_of, self.config.peer, key_id)
        self.metrics.kme_up.set(1)
        await self._do(lambda: self.keeper.stage(key))

    # --- from start to end

    def _serve_metrics(self) -> None:
        address = self.config.metrics_listen
        if address is None:
            return
        try:
            server, thread = start_http_server(address.port, address.host, self.metrics.registry)
        except OSError as error:
            where = f"{self.config.file}: [encryptor] metrics_listen"
            raise InputError(f"{where}: cannot listen at {address}: {error.strerror}") from None

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._held.callback(end)

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until SIGTERM or SIGINT; `ready` is called once all is open. The tunnel is closed when it returns.

        Raises:
            InputError: it cannot start; the message says why.
        """
        loop, ending = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        work: list[asyncio.Task[None]] = []
        try:
            self._serve_metrics()
            guardian = Guardian(self.config.state, self.keeper.encryptor.closing)
            # Last of all: whatever was opened is closed by then.
            self._held.callback(lambda: guardian.close(closed=self.keeper.closed))
            try:
                self.keeper.begin()
            except EncryptorError as error:
                raise InputError(str(error)) from None
            guardian.look()
            try:
                work += [asyncio.create_task(self._watch(guardian)), asyncio.create_task(self._keep_certificates())]
                if self.config.master:
                    work.append(asyncio.create_task(self._lead()))
                else:
                    self._listener = await self._listen()
                event(logging.INFO, "agent runs", sae=self.config.id, peer=self.config.peer)
                ready()
                ended = asyncio.create_task(ending.wait())
                done, _ = await asyncio.wait([ended, *work], return_when=asyncio.FIRST_COMPLETED)
                for task in done - {ended}:
                    task.result()
            finally:
                if self._listener is not None:
                    await self._listener.close()
                await cancelled(work)
                self._caller.close()
                await self._do(lambda: self.keeper.close("end"))
        finally:
            self._held.close()

    async def _listen(self) -> Listener:
        def note(reason: str) -> None:
            self.metrics.refused.labels(reason).inc()

        listener = Listener(self.config.peer, self._credentials.server(note), self._answer, note)
        try:
            await listener.listen(self.config.agent)
        except OSError as error:
            where = f"{self.config.file}: [encryptor] agent"
            reason = error.strerror or "it cannot be resolved"
            raise InputError(f"{where}: cannot listen at {self.config.agent}: {reason}") from None
        return listener


def run(config: AgentConfig, encryptor: Encryptor, ready: Callable[[], None] = lambda: None) -> None:
    """Run an agent until SIGTERM or SIGINT.

    Raises:
        InputError: it cannot start; the message says why.
        KronborgError: it had to end and could not close the tunnel.
    """
    # The image of a process that crashed would hold its keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with hang_up_waits() as came:
        agent = Agent(config, encryptor)

        def begin() -> None:
            if came():
                agent._hang_up()
            ready()

        asyncio.run(agent.run(begin))
    if not agent.keeper.closed:
        raise KronborgError("the tunnel could not be closed: take its peer away by hand")


def close(config: AgentConfig, encryptor: Encryptor) -> None:
    """Close the tunnel of an agent that does not run. Raises InputError, KronborgError."""
    encryptor.check()
    encryptor.close()
    StateFile(config.state).remove()
