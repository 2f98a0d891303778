"""Two agents that agree on keys, with encryptors that only note them: what is lost, refused or late."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kronborg.errors import InputError
from kronborg.network.encryptors import agent as module
from kronborg.network.encryptors.agent import Agent
from kronborg.network.encryptors.config import read_config
from kronborg.network.encryptors.kme_client import KmeClient, KmeFails
from kronborg.network.encryptors.messages import Answer, Caller, Message, PeerFails
from kronborg.network.key_pools import Key
from kronborg_sim.network.agents import Agents

from ..kme.conftest import Running
from .test_config import TABLES
from .test_keeper import Pretended


class Two:
    """Alice, the master, and Bob, in one loop."""

    def __init__(self, keys: Running, lines: str) -> None:
        for path in keys.pair.folder.glob("*agent*"):
            path.unlink()
        files = Agents(keys.pair, "wireguard", dict.fromkeys(("alice", "bob"), TABLES["wireguard"]), lines)
        self.encryptors = {name: Pretended() for name in files.files}
        self.agents = {
            name: Agent(read_config(file, "wireguard"), self.encryptors[name]) for name, file in files.files.items()
        }
        self.changes = files.changes
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, *names: str) -> None:
        for name in names:
            ready = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self.agents[name].run(ready.set))
            await ready.wait()

    async def end(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @property
    def inside(self) -> set[str | None]:
        return {each.inside for each in self.encryptors.values()}

    @property
    def agreed(self) -> bool:
        return len(self.inside) == 1 and None not in self.inside

    async def until(self, so: Callable[[], bool], seconds: float = 120.0) -> None:
        async def wait() -> None:
            while not so():
                for task in self._tasks.values():
                    assert not task.done()
                await asyncio.sleep(0.02)

        await asyncio.wait_for(wait(), seconds)

    def counted(self, name: str, outcome: str) -> float:
        found = self.agents[name].metrics.registry.get_sample_value(
            "kronborg_encryptor_rotations_total", {"outcome": outcome}
        )
        return found or 0.0


def with_two(
    keys: Running, work: Callable[[Two], Awaitable[None]], lines: str = "rotate_seconds = 600.0", *, start: bool = True
) -> Two:
    two = Two(keys, lines)

    async def main() -> None:
        try:
            if start:
                await two.start("bob", "alice")
                await two.until(lambda: two.agreed)
            await work(two)
        finally:
            await two.end()

    asyncio.run(main())
    return two


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELLO_SECONDS", 0.1)
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.2)


def losing(answers: list[str]) -> Callable[..., Awaitable[Answer]]:
    """A caller that does not hear the answers to what the list says, each once."""
    real = Caller.say

    async def say(self: Caller, do: Any, key_id: str | None) -> Answer:
        answer = await real(self, do, key_id)
        if do in answers:
            answers.remove(do)
            raise PeerFails("lost")
        return answer

    return say


def test_both_ends_change_to_the_same_keys_in_the_same_order(keys: Running) -> None:
    async def work(two: Two) -> None:
        await two.until(lambda: two.counted("alice", "changed") >= 3)

    two = with_two(keys, work, "rotate_seconds = 1.0")
    used = two.changes("alice")
    assert len(used) >= 3
    assert two.changes("bob")[: len(used)] == used
    assert two.inside == {None}  # ended, closed


@pytest.mark.parametrize("answer", ["prepare", "switch", "hello"])
def test_an_answer_that_is_lost_costs_a_key_at_most(
    keys: Running, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    lost = [answer]
    monkeypatch.setattr(Caller, "say", losing(lost))

    async def work(two: Two) -> None:
        await two.until(lambda: not lost and two.agreed)
        await asyncio.sleep(0.5)
        assert two.agreed

    two = with_two(keys, work)
    # Where the slave used the key, the master uses it too, and needs no other.
    assert [len(two.changes(name)) for name in ("alice", "bob")] == [1, 1]


def test_a_slave_that_forgot_what_it_had_prepared_gets_another_key(
    keys: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgot: list[str] = []
    real = Agent._answer

    async def answer(self: Agent, message: Message) -> Answer:
        if message.do == "switch" and not forgot:
            forgot.append(str(message.key_id))
            self.keeper.staged = None
        return await real(self, message)

    monkeypatch.setattr(Agent, "_answer", answer)

    async def work(two: Two) -> None:
        assert two.counted("alice", "unknown") == 1
        assert two.inside.isdisjoint(forgot)

    with_two(keys, work)


@pytest.mark.parametrize("broken", ["alice", "bob"])
def test_an_encryptor_that_fails_is_tried_with_the_next_key(keys: Running, broken: str) -> None:
    async def work(two: Two) -> None:
        two.encryptors[broken].broken.add("switch")
        await two.start("bob", "alice")
        await two.until(lambda: two.counted("alice", "encryptor") >= 1)
        assert two.encryptors[broken].inside is None
        two.encryptors[broken].broken.clear()
        await two.until(lambda: two.agreed)

    with_two(keys, work, start=False)


def test_a_slave_whose_keeper_lost_its_key_gets_a_new_one_at_once(keys: Running) -> None:
    async def work(two: Two) -> None:
        before = two.encryptors["alice"].inside
        two.encryptors["bob"].sound = False
        await two.until(lambda: two.agents["bob"].keeper.closed)
        two.encryptors["bob"].sound = True
        await two.until(lambda: two.agreed and two.encryptors["alice"].inside != before)

    with_two(keys, work)


def test_a_kme_without_keys_is_asked_less_and_less_and_logged_once(
    keys: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[float] = []

    def refuse(self: KmeClient, slave: str) -> Key:
        asked.append(time.monotonic())
        raise KmeFails("KME kme-a answers 503: insufficient key material")

    monkeypatch.setattr(KmeClient, "new_key", refuse)

    async def work(two: Two) -> None:
        await two.start("bob", "alice")
        await two.until(lambda: len(asked) == 4)

    with caplog.at_level(logging.INFO):
        with_two(keys, work, start=False)
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert all(pause >= least for pause, least in zip(pauses, (0.2, 0.4, 0.8), strict=True))
    assert [record.msg for record in caplog.records].count("no new key") == 1


def test_a_slave_without_its_kme_refuses_and_says_so(keys: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: KmeClient, master: str, key_id: str) -> Key:
        raise KmeFails("KME kme-b does not answer")

    monkeypatch.setattr(KmeClient, "key_of", refuse)

    async def work(two: Two) -> None:
        await two.start("bob", "alice")
        await two.until(lambda: two.counted("alice", "kme") >= 1)
        assert two.inside == {None}
        assert (await two.agents["bob"]._answer(Message(do="prepare"))).reason == "unknown"

    with_two(keys, work, start=False)


def test_whoever_is_connected_shows_again_who_it_is_when_somebody_was_revoked(keys: Running) -> None:
    async def work(two: Two) -> None:
        agent = two.agents["bob"]
        assert agent._listener is not None
        keys.pair.authority.publish()
        (before,) = agent._listener._open
        agent.renew()
        await two.until(lambda: before.done())
        # Alice has not been revoked: she calls again.
        await two.until(lambda: two.counted("alice", "peer") >= 1 and bool(agent._listener and agent._listener._open))

    with_two(keys, work)


def test_a_certificate_of_somebody_else_is_said_at_the_start(keys: Running, tmp_path: Path) -> None:
    two = Two(keys, "")
    config = two.agents["alice"].config
    text = config.file.read_text().replace("sae-alice", "sae-carol")
    other = config.file.with_name("carol.agent.toml")
    other.write_text(text)
    with pytest.raises(InputError, match=r"sae-carol.pem is not the certificate of SAE alice"):
        Agent(read_config(other, "wireguard"), Pretended())
