"""Bring up a network of KMEs on this machine, with simulated links: the Danish one by default."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..console.atomic import check_writable, write_text

EXTRA = "network"
"""What this command imports comes with that extra."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="WHAT", required=True)
    for name, text in (
        (
            "up",
            "make certificates, start a KME a site and simulated links, until SAEs have keys; then leave it running",
        ),
        ("status", "say how the network is: exit code 0 if all of it is well, else 1"),
        ("down", "end all of its processes; files stay"),
        ("add-site", "give it another site, while it runs"),
        ("units", "write systemd units and alarms for Prometheus, for networks of many machines"),
    ):
        options = actions.add_parser(name, help=text, description=text[0].upper() + text[1:])
        options.set_defaults(action=name)
        if name == "units":
            options.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write them to")
            continue
        options.add_argument(
            "--dir", type=Path, default=Path("network"), help="folder of the network's files (default %(default)s)"
        )
        if name == "up":
            options.add_argument(
                "--config",
                type=Path,
                metavar="FILE.toml",
                help="sites and links (default: modelled on the Danish network)",
            )
        if name == "add-site":
            options.add_argument("site", metavar="NAME", help="of the new site")
            options.add_argument("--link", required=True, metavar="SITE", help="the other end of its link")
            options.add_argument("--length", type=float, required=True, metavar="KM", help="of that link")
            options.add_argument("--excess-noise", type=float, default=0.002, metavar="SNU", help="default %(default)s")
            options.add_argument("--about", default="", metavar="TEXT", help="what the site is")
        if name in ("up", "status"):
            options.add_argument("--json", metavar="FILE", help="write the figures as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        KronborgError: it could not be done; the message says why.
    """
    return {"up": _up, "status": _status, "down": _down, "add-site": _add_site, "units": _units}[options.action](
        options
    )


def _say(what: str, how: str) -> None:
    print(f"  {what:<13} {how}", flush=True)


def _say_nothing(what: str, how: str) -> None:
    """For whoever wants the figures alone."""


def _up(options: argparse.Namespace) -> int:
    from ..network.local.operate import up

    to_stdout = options.json == "-"
    if options.json and not to_stdout:
        check_writable(options.json)
    figures = up(options.dir, options.config, _say_nothing if to_stdout else _say)
    _write(options.json, figures)
    if not to_stdout:
        where = "" if options.dir == Path("network") else f" --dir {options.dir}"
        print(f"  next          kronborg network status{where}; kronborg network down{where}")
    return 0


def _status(options: argparse.Namespace) -> int:
    from ..network.local.status import lines_of, status

    found = status(options.dir)
    _write(options.json, found)
    if options.json != "-":
        print("\n".join(lines_of(found)))
    return 0 if found["healthy"] else 1


def _down(options: argparse.Namespace) -> int:
    from ..network.local.operate import down

    ended = down(options.dir)
    print(f"{len(ended)} processes ended" if ended else "nothing ran")
    return 0


def _add_site(options: argparse.Namespace) -> int:
    from ..network.local.operate import add_site

    add_site(options.dir, options.site, options.link, options.length, options.excess_noise, options.about, _say)
    return 0


def _units(options: argparse.Namespace) -> int:
    from ..network.operations import write_units

    for path in write_units(options.out):
        print(path)
    return 0


def _write(file: str | None, figures: dict[str, object]) -> None:
    text = json.dumps(figures, indent=2, allow_nan=False) + "\n"
    if file == "-":
        print(text, end="")
    elif file:
        write_text(file, text)
