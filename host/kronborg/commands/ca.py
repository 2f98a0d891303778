"""Make certificates for the KMEs, SAEs and nodes of a network."""

from __future__ import annotations

import argparse
from pathlib import Path

EXTRA = "network"
"""What this command imports comes with that extra."""

DAYS = 90


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="WHAT", required=True)
    for name, text in (
        ("init", "make a new authority"),
        ("issue", "make a key and a certificate for a KME, an SAE or a node"),
        ("renew", "the same for one that has a certificate: new key, same names"),
        ("revoke", "put a certificate on the list of those that nobody shall take"),
        ("crl", "sign that list anew (it is valid for 30 days)"),
    ):
        options = actions.add_parser(name, help=text, description=text)
        options.set_defaults(action=name)
        options.add_argument("--dir", type=Path, default=Path("pki"), help="folder of the authority (default pki)")
        if name == "init":
            options.add_argument("--name", default="Kronborg CA", help="of the authority (default %(default)s)")
            options.add_argument("--days", type=int, default=3650, help="valid for (default %(default)s)")
        if name in ("issue", "renew", "revoke"):
            options.add_argument("kind", choices=("kme", "sae", "node"), help="of the bearer")
            options.add_argument("id", metavar="ID", help="of the bearer")
        if name in ("issue", "renew"):
            options.add_argument("--days", type=int, default=DAYS, help="valid for (default %(default)s)")
        if name == "issue":
            options.add_argument(
                "--host", action="append", default=[], metavar="NAME", help="host name or address (several times)"
            )


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        InputError: a name or a folder is wrong.
    """
    from ..network.certificates import Authority
    from ..network.identity import Identity

    if options.action == "init":
        made = Authority.create(options.dir, options.name, options.days)
        print(f"{made.folder / 'ca.pem'} (give it to all), {made.folder / 'ca.key'} (give it to nobody)")
        return 0
    authority = Authority(options.dir)
    if options.action == "crl":
        print(authority.publish())
        return 0
    identity = Identity(options.kind, options.id)
    if options.action == "revoke":
        authority.revoke(identity)
        print(f"{identity.uri} revoked: give {options.dir / 'crl.pem'} to every KME")
        return 0
    if options.action == "issue":
        issued = authority.issue(identity, options.host, options.days)
    else:
        issued = authority.renew(identity, options.days)
    print(f"{issued.certificate}, {issued.key}: {identity.uri} until {issued.until:%Y-%m-%d %H:%M} UTC")
    return 0
