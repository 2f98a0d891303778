"""What became of every key and every byte, read from the stores of a network whose KMEs have come to rest."""

from __future__ import annotations

from collections.abc import Collection

from kronborg.network.key_pools import KeyPools

from .pair import KMES, LINK, Pair
from .web import Web, link_name

AGREED = {
    ("delivered", "delivered"),
    ("delivered", "expired"),  # nobody fetched it
    ("voided", "voided"),
    ("voided", "expired"),  # its time was over before the master's end could tell
}
"""What may have become of a key at its master's end and at its slave's.

Each key for itself: sums over all keys would let one that a slave got and its master did not hide behind one that
expired. Where the slave's end does not know a key, the master must not have got it.
"""


def links_of(network: Pair | Web) -> dict[str, tuple[str, str]]:
    """Both ends of each link."""
    return {link_name(ends): ends for ends in network.links} if isinstance(network, Web) else {LINK: KMES}


def accounts(network: Pair | Web, kme: str, link: str) -> list[dict[str, int]]:
    """Of both pools of a link at one end."""
    database = network.config(kme).store.open()
    try:
        return [KeyPools(database).account(link, pool) for pool in (0, 1)]
    finally:
        database.close()


def fates(network: Pair | Web, kme: str) -> dict[tuple[str, str], str]:
    """What became of each key at one end, by role (`master` or `slave`) and name; empty while it is open.

    Raises:
        StoreDamaged: the store fails its check.
    """
    database = network.config(kme).store.open()
    try:
        KeyPools(database).check()
        rows = database.rows(
            "SELECT r.role, k.id, r.fate, (SELECT COUNT(*) FROM delivery d WHERE d.key_id = k.id)"
            " FROM delivery_key k JOIN reservation r ON r.id = k.reservation"
        )
    finally:
        database.close()
    return {(role, name): "delivered" if got else fate or "" for role, name, fate, got in rows}


def unaccounted(network: Pair | Web, to_masters: Collection[str], to_slaves: Collection[str], key_bytes: int) -> int:
    """Keys whose two ends contradict each other or their SAEs, and bytes, in keys, that the ends book differently.

    Args:
        network: its KMEs have ended, or do nothing any more.
        to_masters, to_slaves: names of keys that SAEs got.
        key_bytes: of each.
    """
    at_master: dict[str, str] = {}
    at_slaves: dict[str, set[str]] = {}
    for kme in network.files:
        for (role, name), fate in fates(network, kme).items():
            if role == "master":
                at_master[name] = fate
            else:
                at_slaves.setdefault(name, set()).add(fate)
    off = sum(at_master.get(name) != "delivered" for name in set(to_masters))
    off += sum("delivered" not in at_slaves.get(name, ()) for name in set(to_slaves))
    for name in {*at_master, *at_slaves}:
        pairs = {(at_master.get(name, ""), fate) for fate in at_slaves.get(name, ())}
        off += bool(pairs - AGREED) or (not pairs and at_master[name] == "delivered")
    wrong = sum(_differences(network, link, ends) for link, ends in links_of(network).items())
    return off + -(-wrong // key_bytes)


def _differences(network: Pair | Web, link: str, ends: tuple[str, str]) -> int:
    """Bytes of a link that its two ends book differently."""
    both = [accounts(network, kme, link) for kme in ends]
    off = 0
    for kme, mine in zip(ends, both, strict=True):
        database = network.config(kme).store.open()
        ((blocks,),) = database.rows(
            "SELECT COALESCE(SUM((bits / 8 - 16) / 2), 0) FROM block WHERE link = ? AND state = 'pooled'", link
        )
        database.close()
        off += sum(abs(account["pooled"] - int(blocks)) for account in mine)
    for one, other in zip(*both, strict=True):
        for items in (("ready",), ("relayed",), ("delivered", "expired", "voided")):
            off += abs(sum(one[item] for item in items) - sum(other[item] for item in items))
    return off


def settled(network: Pair | Web) -> bool:
    """Whether nothing is under way any more, and both ends of each link agree on what is left."""
    for link, ends in links_of(network).items():
        one, other = (accounts(network, kme, link) for kme in ends)
        for mine, theirs in zip(one, other, strict=True):
            if mine["reserved"] or theirs["reserved"]:
                return False
            if (mine["ready"], mine["relayed"]) != (theirs["ready"], theirs["relayed"]):
                return False
    for kme in network.files:
        database = network.config(kme).store.open()
        ((frames,),) = database.rows("SELECT COUNT(*) FROM frame WHERE state <> 'closed'")
        ((keys,),) = database.rows("SELECT COUNT(*) FROM reservation WHERE state = 'voiding'")
        ((held,),) = database.rows(
            "SELECT COUNT(*) FROM delivery_key k JOIN reservation r ON r.id = k.reservation WHERE k.state <> 'erased'"
        )
        database.close()
        if frames or keys or held:
            return False
    return True
