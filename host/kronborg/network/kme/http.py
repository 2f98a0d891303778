"""What both interfaces of a KME share: who calls, what becomes of errors, what is counted and logged."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from ..identity import of_certificate
from .log import LOGGER, event
from .metrics import Metrics
from .wire import Refused, answer, error_body

Endpoint = Callable[[str, Request], Awaitable[dict[str, Any]]]
"""Answers a caller whose identity is known; the caller's ID, and the request."""


class Interface:
    """A FastAPI application whose every request has a caller of one kind, and whose every error the standard's body.

    Args:
        name: for logs and metrics.
        kind: of the callers: `sae` or `kme`.
        known: whether a caller's ID is one that this interface serves.
        metrics: counts requests.
    """

    def __init__(self, name: str, kind: str, known: Callable[[str], bool], metrics: Metrics) -> None:
        self._name, self._kind, self._known, self._metrics = name, kind, known, metrics
        # No pages that describe the interface: who may call it has its description.
        self.app = FastAPI(title=f"Kronborg KME, {name}", openapi_url=None, docs_url=None, redoc_url=None)
        self.app.add_exception_handler(StarletteHTTPException, self._not_here)

    def add(self, endpoint: str, method: str, path: str, work: Endpoint, status: int = 200) -> None:
        """Serve a path; `status` is that of a request that was carried out."""

        async def handle(request: Request) -> Response:
            started = time.perf_counter()
            caller, response = await self._carry_out(work, request, status)
            seconds = time.perf_counter() - started
            self._metrics.requests.labels(self._name, endpoint, response.status_code).inc()
            self._metrics.seconds.labels(self._name, endpoint).observe(seconds)
            # KMEs talk to each other all the time.
            usual = logging.INFO if self._kind == "sae" else logging.DEBUG
            event(
                usual if response.status_code == status else logging.WARNING,
                "request",
                interface=self._name,
                endpoint=endpoint,
                method=method,
                caller=caller,
                status=response.status_code,
                milliseconds=round(1e3 * seconds, 1),
            )
            return response

        self.app.add_api_route(path, handle, methods=[method], name=f"{method} {endpoint}")

    async def _carry_out(self, work: Endpoint, request: Request, status: int) -> tuple[str | None, Response]:
        certificate = getattr(request.state, "peercert", None)
        identity = of_certificate(certificate)
        # A connection may live longer than the certificate that it began with.
        if certificate and ssl.cert_time_to_seconds(certificate["notAfter"]) < time.time():
            self._metrics.refused.labels(self._name, "identity").inc()
            ended = error_body("the certificate has ended")
            return identity.uri if identity else None, answer(ended, 401, {"Connection": "close"})
        if identity is None or identity.kind != self._kind or not self._known(identity.id):
            self._metrics.refused.labels(self._name, "identity").inc()
            refused = error_body(f"the certificate is not that of a known {self._kind.upper()}")
            return identity.uri if identity else None, answer(refused, 401)
        try:
            return identity.id, answer(await work(identity.id, request), status)
        except Refused as error:
            if error.status == 413:
                self._metrics.refused.labels(self._name, "oversize").inc()
            # What is left of a body that was too large is not read: the connection ends.
            headers = {"Connection": "close"} if error.status == 413 else {}
            return identity.id, answer(error_body(error.message, error.details), error.status, headers)
        except Exception:
            LOGGER.exception("request failed", extra={"fields": {"interface": self._name}})
            return identity.id, answer(error_body("error on server side"), 503)

    async def _not_here(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, (HTTPException, StarletteHTTPException)) else 404
        headers = dict(getattr(error, "headers", None) or {})
        self._metrics.requests.labels(self._name, "none", status).inc()
        event(logging.WARNING, "request", interface=self._name, endpoint="none", status=status)
        message = "method not allowed" if status == 405 else "there is nothing at this path"
        return answer(error_body(message), status, headers)
