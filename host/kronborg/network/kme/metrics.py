"""What Prometheus reads of a KME."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Counters of one KME, in a registry of their own. Labels are names of links, endpoints and reasons."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kronborg_kme_requests",
            "requests answered, by interface, endpoint and status",
            ["interface", "endpoint", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "kronborg_kme_request_seconds",
            "time to answer",
            ["interface", "endpoint"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.keys = Counter(
            "kronborg_kme_keys_delivered", "keys handed to SAEs, by role", ["role"], registry=self.registry
        )
        self.refused = Counter(
            "kronborg_kme_connections_refused",
            "connections that were cut: tls, slow, oversize, identity",
            ["interface", "reason"],
            registry=self.registry,
        )
        self.pool = Gauge(
            "kronborg_kme_pool_bytes",
            "key material by what became of it",
            ["link", "direction", "item"],
            registry=self.registry,
        )
        self.blocks = Counter(
            "kronborg_kme_blocks", "blocks compared with the other end", ["link", "outcome"], registry=self.registry
        )
        self.voided = Counter(
            "kronborg_kme_reservations_voided",
            "reservations given up because the other end's answer was lost",
            ["link"],
            registry=self.registry,
        )
        self.peer_up = Gauge(
            "kronborg_kme_peer_up", "whether the link's other KME answers", ["link"], registry=self.registry
        )
        self.frames = Counter(
            "kronborg_kme_relay_frames",
            "frames by what came of them: accepted, repeated, later, absent, or why they were refused",
            ["link", "direction", "outcome"],
            registry=self.registry,
        )
        self.held_up = Counter(
            "kronborg_kme_relay_held_up", "keys that had to go another way, or did not arrive", registry=self.registry
        )
        self.indirect = Counter(
            "kronborg_kme_relay_instead_of_direct",
            "requests that went over trusted nodes because the direct link could not serve them",
            ["link"],
            registry=self.registry,
        )
        self.nodes = Gauge("kronborg_kme_relay_nodes", "nodes that are heard of", registry=self.registry)
        self.store_sound = Gauge(
            "kronborg_kme_store_sound", "whether the store passes its checks", registry=self.registry
        )
        self.certificate_expiry = Gauge(
            "kronborg_kme_certificate_expiry_seconds", "when this KME's certificate ends", registry=self.registry
        )
