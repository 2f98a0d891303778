"""Write the register tables: the page of the documentation, or SystemRDL."""

from __future__ import annotations

import argparse

from kronborg.console.atomic import write_text

from ..overlays.system_rdl import system_rdl
from ..overlays.tables import markdown, tables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    names = tuple(tables())
    parser.add_argument(
        "core", nargs="?", choices=names, metavar="CORE", help=f"{', '.join(names)} (default all, with their pages)"
    )
    parser.add_argument("--system-rdl", action="store_true", help="SystemRDL 2.0 instead of Markdown")
    parser.add_argument("--output", metavar="FILE", default="-", help="(default standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    chosen = {options.core: tables()[options.core]} if options.core else tables()
    page = tables()[options.core].markdown() if options.core else markdown()
    text = system_rdl(chosen) if options.system_rdl else page
    if options.output == "-":
        print(text, end="")
    else:
        write_text(options.output, text)
    return 0
