"""What Prometheus would read of a process: its metrics, by name and labels."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from ..tables import Address

SECONDS = 5.0
Told = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def metrics_of(address: Address) -> Told | None:
    """What is told at an address; None where nobody answers."""
    from prometheus_client.parser import text_string_to_metric_families

    connection = http.client.HTTPConnection(address.host, address.port, timeout=SECONDS)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        families = list(text_string_to_metric_families(text))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    samples = (sample for family in families for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def value_of(told: Told | None, name: str, **labels: str) -> float:
    """A metric of ours, without its prefix; 0 where it is not told."""
    return (told or {}).get((f"kronborg_{name}", frozenset(labels.items())), 0.0)
