"""The encryptor that a configuration is for."""

from __future__ import annotations

from ...errors import InputError
from .config import AgentConfig, WireGuard
from .keeper import Encryptor
from .wireguard import WireGuardPeer


def encryptor_of(config: AgentConfig) -> Encryptor:
    """The encryptor, untouched. Raises InputError where what it needs is not installed."""
    if isinstance(config.encryptor, WireGuard):
        return WireGuardPeer(config.encryptor, renews=config.master)
    try:
        from .strongswan import StrongSwanConnection
    except ModuleNotFoundError:
        raise InputError("strongSwan needs the extra 'strongswan': pip install 'kronborg[strongswan]'") from None
    return StrongSwanConnection(config.encryptor, calls=config.master, lifetime_seconds=config.lifetime_seconds)
