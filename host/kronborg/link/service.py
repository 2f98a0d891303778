"""Alice and Bob as two processes: connections that come and go, round after round, one key block a round.

Bob listens and leads. Whatever goes wrong within a round (a peer that is killed, a forged message, a channel without
key) drops that round, is counted and said in one line; frames of a dropped round are never used again. A link resumes
with the greetings, which settle what either end had stored when the other was killed.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, KronborgError, NoKeyError, ProtocolError
from ..network.key_store import KeyStore
from ..postprocessing.budget import Epsilons
from . import messages
from .alice import Alice
from .bob import POOL_STEP, Bob
from .channel import Channel
from .key_pool import ChannelError, KeyPool, PoolDry
from .light import Light
from .signatures import SigningKeys

NEXT_FRAME = "next frame"
"""Counter in the pool: frames below it are used, or lost."""

POOL_KEYS = 1024
"""Keys that each lane of the pool is filled up to, from the keys that are distilled."""

FIRST_KEYS = 64
"""Keys for each lane that a pool without a pre-shared secret begins with at least: a round takes some thirty."""

ONE_TIME_KEYS, SIGNATURES = "one-time keys", "ML-DSA-87 signatures"

RETRY_SECONDS = (0.2, 5.0)
"""Between attempts to connect: the first, and the longest."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class End:
    """What an end keeps.

    Attributes:
        link: the link's name, the same at both ends.
        store: path of its key store.
        pool: its pool of authentication keys.
        light: its half of the light.
        timeout_seconds: how long it waits for the other end.
        keys: long-term ones, for a pool that has not begun.
    """

    link: str
    store: Path
    pool: KeyPool
    light: Light
    timeout_seconds: float = 600.0
    keys: SigningKeys | None = None

    def last_block(self) -> int:
        """Number of its last key block that is ready."""
        with KeyStore(self.store) as store:
            return store.last_ready(self.link)


@dataclass(frozen=True)
class Round:
    """One round at Bob's end.

    Attributes:
        number: from 1, as this process counts.
        key_bits: secret key, those for the pool among them; 0 if the round was dropped.
        pool_bits: of them, what feeds the pool.
        code_blocks, code_blocks_failed: tried, and lost of these.
        excess_noise_snu: estimate over all symbols; None if there was none.
        excess_noise_worst_case_snu: what the key's length rests on, likewise.
        snr: per quadrature.
        epsilon: composable security parameter of the key, forged messages counted.
        epsilons: its lines.
        budget: lines of the key's length.
        dropped: why there is no key; empty if there is one.
        authentication: what its messages were signed with; signatures are safe from who cannot forge one in time only.
    """

    number: int
    key_bits: int = 0
    pool_bits: int = 0
    code_blocks: int = 0
    code_blocks_failed: int = 0
    excess_noise_snu: float | None = None
    excess_noise_worst_case_snu: float | None = None
    snr: float | None = None
    epsilon: float | None = None
    epsilons: tuple[tuple[str, float], ...] = ()
    budget: tuple[tuple[str, int], ...] = ()
    dropped: str = ""
    authentication: str = ""


class AliceService:
    """Alice's end: connects, and answers until Bob says goodbye."""

    def __init__(self, end: End) -> None:
        self.end = end

    def run(self, host: str, port: int, say: Say, *, patience_seconds: float = float("inf")) -> None:
        """Connect and serve, again and again.

        Raises:
            NoKeyError: the pool is dry.
            InputError: nobody answered for as long as the patience lasts; a store that cannot be written.
        """
        delay, waiting, deadline = RETRY_SECONDS[0], False, time.monotonic() + patience_seconds
        while True:
            try:
                connection = socket.create_connection((host, port), timeout=self.end.timeout_seconds)
            except OSError as error:
                if time.monotonic() > deadline:
                    reason = error.strerror or type(error).__name__
                    raise InputError(f"cannot connect to {host}:{port}: {reason}; is Bob there?") from None
                if not waiting:
                    say(f"waiting for Bob at {host}:{port}")
                waiting = True
            else:
                waiting = False
                try:
                    if self.serve(connection, say):
                        return
                except ProtocolError as error:
                    say(f"connection ended: {error}")
                deadline = time.monotonic() + patience_seconds
            time.sleep(delay)
            delay = RETRY_SECONDS[0] if not waiting else min(2 * delay, RETRY_SECONDS[1])

    def serve(self, connection: socket.socket, say: Say) -> bool:
        """Serve one connection to its end; True if Bob said goodbye.

        Raises:
            ProtocolError: the connection ended in another way.
            NoKeyError: the pool is dry.
        """
        end = self.end
        channel = Channel(connection, end.pool, end.timeout_seconds, end.keys)
        try:
            light, mine = end.light, end.last_block()
            answer = channel.greet(
                messages.AliceHello(
                    end.link,
                    channel.nonce,
                    mine,
                    end.pool.counter(NEXT_FRAME),
                    light.modulation_variance_snu,
                    light.snu_per_word,
                )
            )
            if not isinstance(answer, messages.BobHello):
                raise ProtocolError("the other end is an Alice as well")
            _same_link(end.link, answer.link)
            if answer.last_block < mine:
                raise ProtocolError(
                    f"Bob has key blocks up to {answer.last_block}, this end up to {mine}: his store is not the one of"
                    " this link"
                )
            alice = Alice({}, light.snu_per_word, end.store, end.link, end.pool)
            # A signed greeting may be an old one. What comes after it is of this connection.
            greeted = not channel.peer_signs
            if greeted:
                alice.settle(answer.last_block)
            say("connected to Bob")
            while True:
                try:
                    message = channel.receive()
                    if not greeted:
                        alice.settle(answer.last_block)
                        greeted = True
                    if isinstance(message, messages.Goodbye):
                        return True
                    if isinstance(message, messages.Emit):
                        alice = self._emit(message)
                        answered: messages.Message = messages.Done()
                    else:
                        answered = alice.handle(message)
                    if isinstance(message, messages.Stored):
                        say(f"key block {message.sequence} is ready")
                except ChannelError:
                    raise
                except ProtocolError as error:
                    answered = messages.Refused(str(error))
                except (KronborgError, ArithmeticError, MemoryError) as error:
                    # What went wrong here is said here; it may name files that are no business of the other end's.
                    say(f"could not carry a message out: {error}")
                    answered = messages.Refused(f"Alice could not carry it out ({type(error).__name__})")
                channel.send(answered)
        finally:
            channel.close()

    def _emit(self, message: messages.Emit) -> Alice:
        end, used = self.end, self.end.pool.counter(NEXT_FRAME)
        if not message.count or message.first < used:
            raise ProtocolError(f"frame {message.first} was used before, or none is asked for")
        # On disk before there is light: whatever happens, nobody emits these again.
        end.pool.raise_counter(NEXT_FRAME, message.first + message.count)
        symbols = end.light.emit(message.first, message.count)
        return Alice(symbols, end.light.snu_per_word, end.store, end.link, end.pool)


@dataclass
class BobService:
    """Bob's end: listens, and leads round after round.

    Attributes:
        end: what he keeps.
        frames: frames of a round.
        estimation_fraction: share of the symbols that is disclosed before the code is chosen.
        epsilons: failure probabilities of each round's key.
        threads: blocks that are prepared side by side.
        rounds: what came of each round.
        forgery_probability: bound on the chance that any message, of all connections, was not the peer's.
    """

    end: End
    frames: int
    estimation_fraction: float
    epsilons: Epsilons
    threads: int = 2
    rounds: list[Round] = field(default_factory=list)
    forgery_probability: float = 0.0

    def listen(self, server: socket.socket, count: int, say: Say) -> None:
        """Accept one connection after the other, until `count` rounds are over; 0 for endlessly many.

        Raises:
            NoKeyError: the pool is dry.
            InputError: a store that cannot be written.
        """
        while not count or len(self.rounds) < count:
            connection, address = server.accept()
            try:
                self.lead(connection, count, say)
            except ProtocolError as error:
                say(f"connection with {address[0]} ended: {error}")

    def lead(self, connection: socket.socket, count: int, say: Say) -> None:
        """Rounds over one connection, until there are `count` in all.

        Raises:
            ProtocolError: the connection ended; the round under way is dropped.
            NoKeyError: the pool is dry.
        """
        end = self.end
        channel = Channel(connection, end.pool, end.timeout_seconds, end.keys)
        try:
            mine = end.last_block()
            end.pool.settle(mine)
            answer = channel.greet(messages.BobHello(end.link, channel.nonce, mine, end.pool.counter(NEXT_FRAME)))
            if not isinstance(answer, messages.AliceHello):
                raise ProtocolError("the other end is a Bob as well")
            _same_link(end.link, answer.link)
            if answer.last_block > mine:
                raise ProtocolError(
                    f"Alice has key blocks up to {answer.last_block}, this end up to {mine}: her store is not the one"
                    " of this link"
                )
            end.pool.raise_counter(NEXT_FRAME, answer.next_frame)
            say("connected to Alice")
            while not count or len(self.rounds) < count:
                if channel.signed and end.pool.begun:
                    # Alice connects again, and from then on both sign with one-time keys.
                    say("the pool of authentication keys has begun: no more signatures")
                    return
                self._round(channel, answer, say)
            channel.send(messages.Goodbye())
        finally:
            self.forgery_probability += channel.traffic.forgery_probability
            channel.close()

    def _round(self, channel: Channel, alice: messages.AliceHello, say: Say) -> None:
        number = len(self.rounds) + 1
        try:
            done = self._distil(channel, alice, number)
        except (ProtocolError, NoKeyError, InputError) as error:
            self.rounds.append(Round(number, dropped=str(error)))
            say(f"round {number} dropped: {error}")
            if isinstance(error, ChannelError | PoolDry):
                raise
            return  # every question had its answer: the link goes on
        self.rounds.append(done)
        say(f"round {number}: {done.key_bits} bits of key, {done.pool_bits} of them for authentication")

    def _distil(self, channel: Channel, alice: messages.AliceHello, number: int) -> Round:
        end, light = self.end, self.end.light
        first = end.pool.counter(NEXT_FRAME)
        forgeries = channel.traffic.forgery_probability
        end.pool.raise_counter(NEXT_FRAME, first + self.frames)
        reply = channel.ask(messages.Emit(first, self.frames))
        if not isinstance(reply, messages.Done):
            raise ProtocolError(
                f"Alice did not emit: {reply.reason if isinstance(reply, messages.Refused) else 'why?'}"
            )
        bob = Bob(
            channel.ask,
            light.receive(first, self.frames),
            modulation_variance_snu=alice.modulation_variance_snu,
            snu_per_word=alice.snu_per_word,
            shot_noise=light.shot_noise,
            detector_efficiency=light.detector_efficiency,
            epsilons=self.epsilons,
            store=end.store,
            randomness=secrets.token_bytes,
            link=end.link,
            pool=end.pool,
        )
        bob.announce()
        bob.estimate(self.estimation_fraction)
        bob.choose_code()
        reconciled = bob.reconcile(threads=self.threads)
        lost = reconciled.failed + reconciled.unequal
        missing = POOL_KEYS - min(end.pool.left(lane) for lane in (end.pool.own, end.pool.peer))
        least = 0 if end.pool.begun else FIRST_KEYS
        budget = bob.distil(reconciled, max(missing, 0) * POOL_STEP, least * POOL_STEP)
        if channel.traffic.messages > channel.traffic.signatures:
            budget = budget.with_forgeries(channel.traffic.forgery_probability - forgeries)
        return Round(
            number,
            budget.key_bits,
            budget.pool_bits,
            len(reconciled.verified) + lost,
            lost,
            bob.estimated.excess_noise_snu,
            bob.estimated.worst_case.excess_noise_snu,
            bob.snr,
            budget.epsilon,
            budget.epsilons,
            budget.lines,
            authentication=SIGNATURES if channel.signed else ONE_TIME_KEYS,
        )


def _same_link(mine: str, theirs: str) -> None:
    if mine != theirs:
        raise ProtocolError(f"this is link {mine!r} and the other end's is {theirs!r}: give both the same --link")
