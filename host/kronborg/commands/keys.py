"""Save a key store's numbers, or begin a store anew: no key is ever brought back."""

from __future__ import annotations

import argparse
from pathlib import Path

EXTRA = "network"
"""What this command imports comes with that extra."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="WHAT", required=True)
    for name, text in (
        ("backup", "save which blocks there were and what became of them, and no bit of a key; the KME may run"),
        ("restore", "void all keys of a KME that is down, and have its neighbours do the same when it runs again"),
    ):
        options = actions.add_parser(name, help=text, description=text[0].upper() + text[1:])
        options.set_defaults(action=name)
        options.add_argument("config", type=Path, metavar="KME.toml", help="the KME's configuration")
        if name == "backup":
            options.add_argument("--output", type=Path, required=True, metavar="FILE.json", help="file to write")
        else:
            options.add_argument(
                "--numbers", type=Path, metavar="FILE.json", help="what `backup` wrote, for a store that is empty"
            )


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        InputError: a file is wrong, the store is damaged, or a KME serves from it.
    """
    from ..network import backup
    from ..network.kme.config import read_config

    config = read_config(options.config)
    numbers = None
    if options.action == "restore" and options.numbers:
        numbers = backup.read(options.numbers, config.id)
    database = config.store.open()
    try:
        if options.action == "backup":
            saved = backup.save(database, config.id, options.output)
            print(f"{options.output}: numbers of {len(saved['last_blocks'])} links, no key")
        else:
            backup.restore(database, config.links, numbers)
            print(f"{config.id} begins anew on {len(config.links)} links: start it, and its neighbours void their keys")
    finally:
        database.close()
    return 0
