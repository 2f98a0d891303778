"""On what terms an SAE gets keys: what its extensions ask for, and what the policy for the pair says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..hybrid import NAME
from .config import KmeConfig, Policy
from .wire import Refused

NO_KEY = "insufficient key material"
NOT_SUPPORTED = "not all extension_mandatory parameters are supported"
NOT_MET = "not all extension_mandatory request options could be met"
NOT_HANDLED = "not all extension_optional request options handled"

ORIGIN = "kronborg_origin"
ROUTE_TYPE = "kronborg_route_type"
PATHS = "kronborg_paths"
MAX_HOPS = "kronborg_max_hops"
HYBRID = "kronborg_hybrid"
MOST_SHOWN = 16
"""Extensions that an error names, each up to 64 characters of it."""


@dataclass(frozen=True)
class Terms:
    """What keys have to be.

    Attributes:
        route_type: `direct`, `indirect` (over trusted nodes), or `any`: direct while that can be had.
        least_paths: with fewer disjoint paths they are refused; on a direct link there is no node to keep from knowing.
        max_hops: links of a path; 0 for the KME's default.
        origin: what `kronborg_origin` of the keys has to say; empty for anything.
        avoid: nodes that paths must not lead through.
        hybrid: they are combined with an ML-KEM secret.
    """

    route_type: str = "any"
    least_paths: int = 1
    max_hops: int = 0
    origin: str = ""
    avoid: tuple[str, ...] = ()
    hybrid: bool = False


_KNOWN: Mapping[str, Any] = {
    ROUTE_TYPE: lambda value: value in ("direct", "indirect", "any"),
    PATHS: lambda value: type(value) is int and value in (1, 2),
    MAX_HOPS: lambda value: type(value) is int and 1 <= value <= 64,
    HYBRID: lambda value: value == NAME,
    ORIGIN: lambda value: value in ("qkd-direct", "qkd-relayed", "simulated"),
}


def _with(terms: Terms, name: str, value: Any) -> Terms:
    if name == ROUTE_TYPE:
        return replace(terms, route_type=value) if value != "any" else terms
    if name == PATHS:
        return replace(terms, least_paths=max(value, terms.least_paths))
    if name == MAX_HOPS:
        return replace(terms, max_hops=min(value, terms.max_hops or value))
    if name == HYBRID:
        return replace(terms, hybrid=True)
    return replace(terms, origin=value)


def terms_of(
    config: KmeConfig,
    master: str,
    slaves: Sequence[str],
    mandatory: Sequence[Mapping[str, Any]],
    optional: Sequence[Mapping[str, Any]],
) -> Terms:
    """The terms of a request: those of the pairs' policies, and what is mandatory on top; neither weakens the other.

    Of what is optional, a direct route is what comes first anyway; all else is not handled.

    Raises:
        Refused: 400, with the standard's messages.
    """
    terms = Terms()
    for slave in slaves:
        terms = _of_policy(terms, config.policy_of(master, slave))
        terms = replace(terms, hybrid=terms.hybrid or config.hybrid(master, slave))
    pairs = [pair for each in mandatory for pair in each.items()]
    unknown = [name for name, _ in pairs if name not in _KNOWN]
    if unknown:
        details = [
            {"extension_mandatory_unsupported": f"{name[:64]} is not supported"} for name in unknown[:MOST_SHOWN]
        ]
        raise Refused(400, NOT_SUPPORTED, details)
    for name, value in pairs:
        if not _KNOWN[name](value):
            raise Refused(400, NOT_MET, [{name: "cannot be had"}])
        if (name, value) in ((ROUTE_TYPE, "indirect"), (HYBRID, NAME)) and config.relay is None:
            raise Refused(400, NOT_MET, [{name: "this KME has no relay"}])
        if name == ROUTE_TYPE and value != "any" and terms.route_type not in ("any", value):
            raise Refused(400, NOT_MET, [{ROUTE_TYPE: f"this key's route is {terms.route_type}"}])
        terms = _with(terms, name, value)
    optional_pairs = [pair for each in optional for pair in each.items()]
    unhandled = [name for name, value in optional_pairs if name != ROUTE_TYPE or value not in ("direct", "any")]
    if unhandled and config.keys.unhandled_optional == "refuse":
        details = [{"extension_optional_unhandled": f"{name[:64]} is not handled"} for name in unhandled[:MOST_SHOWN]]
        raise Refused(400, NOT_HANDLED, details)
    if terms.origin == "qkd-relayed" and terms.route_type == "any":
        return replace(terms, route_type="indirect")
    return terms


def _of_policy(terms: Terms, policy: Policy) -> Terms:
    if policy.route_type != "any" and terms.route_type not in ("any", policy.route_type):
        raise Refused(400, "the SAEs' policies do not go together", [{ROUTE_TYPE: "direct and indirect"}])
    return replace(
        terms,
        route_type=policy.route_type if policy.route_type != "any" else terms.route_type,
        least_paths=max(terms.least_paths, policy.least_paths),
        max_hops=min(filter(None, (terms.max_hops, policy.max_hops)), default=0),
        avoid=tuple(sorted({*terms.avoid, *policy.avoid})),
    )
