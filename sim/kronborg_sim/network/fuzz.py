"""Requests that nobody thought of, made from the interface's own description by schemathesis."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kronborg.network.identity import Identity
from kronborg.network.kme.etsi014 import description

from .pair import Pair

SERVER_ERRORS = ("error on server side",)
"""Messages of a 503 that say that something went wrong, not that there is no key or no peer."""


class Findings:
    """What came of the requests.

    Attributes:
        statuses: how many requests had which status.
        faults: of answers that no request may get: method, path and what is wrong, each once.
    """

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.faults: dict[str, str] = {}

    def note(self, operation: str, status: int, kind: str, body: bytes) -> None:
        """Count an answer, and see that it is one of the standard's."""
        self.statuses[status] += 1
        wrong = ""
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            wrong = f"status {status} without a JSON object"
        elif status >= 500 and (status != 503 or answer.get("message") in SERVER_ERRORS):
            wrong = f"status {status}"
        elif status != 200 and not isinstance(answer.get("message"), str):
            wrong = f"status {status} without an Error body"
        if kind != "application/json":
            wrong = wrong or f"status {status} as {kind or 'nothing'}"
        if wrong:
            self.faults.setdefault(f"{operation}: {wrong}", body[:200].decode(errors="replace"))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fuzz(pair: Pair, *, examples: int, seed: int, findings: Findings) -> None:
    """Send `examples` requests to each operation of KME A, as the SAE alice.

    Args:
        pair: KMEs that run.
        examples: per operation.
        seed: of what is sent; the same seed sends the same.
        findings: gets the answers.
    """
    import requests
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    schema: Any = schemathesis.openapi.from_dict(description())
    chosen = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    certificate, key = pair.authority.files(Identity("sae", "alice"))
    url, authority = f"https://{pair.address('kme-a')}", str(pair.folder / "pki" / "ca.pem")
    session = requests.Session()

    def send(case: Any) -> None:
        # Most paths name nobody: half of them are made to name bob.
        if len(str(case.body)) % 2:
            case.path_parameters = {"sae_id": "bob"}
        try:
            response = case.call(
                base_url=url, session=session, timeout=15, verify=authority, cert=(str(certificate), str(key))
            )
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
            return  # no HTTP client can send it
        kind = response.headers.get("content-type", [""])[0]
        findings.note(f"{case.method} {case.operation.path}", response.status_code, kind, response.content or b"")

    with session, _quiet():
        for found in schema.get_all_operations():
            for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
                cases = found.ok().as_strategy(generation_mode=mode)
                seeded(seed)(chosen(given(case=cases)(send)))()
