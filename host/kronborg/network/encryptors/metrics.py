"""What Prometheus reads of an agent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """Counters of one agent, in a registry of their own. None is about a key, but for its age."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rotations = Counter(
            "kronborg_encryptor_rotations",
            "keys taken into use, and those that were not by what failed: kme, peer, audit, encryptor, unknown",
            ["outcome"],
            registry=self.registry,
        )
        self.open = Gauge("kronborg_encryptor_open", "whether the tunnel has a key", registry=self.registry)
        self.age = Gauge("kronborg_encryptor_key_age_seconds", "age of the key in force", registry=self.registry)
        self.exchanged = Gauge(
            "kronborg_encryptor_exchange_time_seconds",
            "when both ends last agreed on session keys, since the epoch",
            registry=self.registry,
        )
        self.kme_up = Gauge("kronborg_encryptor_kme_up", "whether the KME gave the last key", registry=self.registry)
        self.peer_up = Gauge(
            "kronborg_encryptor_peer_up", "whether the other agent was heard lately", registry=self.registry
        )
        self.refused = Counter(
            "kronborg_encryptor_connections_refused",
            "connections that were cut: tls, identity, oversize, slow, malformed, crowd",
            ["reason"],
            registry=self.registry,
        )
        self.certificate_expiry = Gauge(
            "kronborg_encryptor_certificate_expiry_seconds", "when the certificate ends", registry=self.registry
        )
