"""The command line: `kronborg COMMAND`.

Commands of this package are imported at once. Those of packages that it may not know (gateware, simulation) are entry
points of the group `kronborg.commands`: a name, and a module with `add_arguments(parser)` and `run(options)`, loaded
only when the command is asked for. What a module of `kronborg_sim` imports comes with the extra `sim`, and so on.

Exit codes: 0 done, 1 an error of this program, 2 wrong input, 3 no secret key, 130 interrupted.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NoReturn

from . import __version__
from .commands import (
    alice,
    bob,
    ca,
    doctor,
    encryptor,
    flash,
    keys,
    kme,
    network,
    rate,
    replay,
    run,
    selftest,
    signing_key,
)
from .errors import InputError, KronborgError

COMMANDS = {
    "run": run,
    "replay": replay,
    "rate": rate,
    "alice": alice,
    "bob": bob,
    "signing-key": signing_key,
    "ca": ca,
    "kme": kme,
    "keys": keys,
    "encryptor": encryptor,
    "network": network,
    "flash": flash,
    "selftest": selftest,
    "doctor": doctor,
}
GROUP = "kronborg.commands"


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser(asked: str = "") -> Parser:
    """The parser of all commands. Of those that other packages offer, the one that is `asked` for is loaded."""
    top = Parser(prog="kronborg", description="Continuous-variable quantum key distribution, from light to keys.")
    top.add_argument("--version", action="version", version=f"kronborg {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for name, module in COMMANDS.items():
        summary = _first_line(module.__doc__)
        options = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(options)
        options.set_defaults(carry_out=module.run)
    # To look for the others takes a tenth of a second on a board.
    for name, point in {} if asked in COMMANDS else _offered().items():
        summary = _summary(point)
        options = commands.add_parser(name, help=summary, description=summary)
        if name == asked:
            module = point.load()
            module.add_arguments(options)
            options.set_defaults(carry_out=module.run)
    return top


def _offered() -> dict[str, EntryPoint]:
    """Commands of other packages."""
    return {point.name: point for point in sorted(entry_points(group=GROUP)) if point.name not in COMMANDS}


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]


def _summary(point: EntryPoint) -> str:
    """First line of a module's docstring, read from its source: what the module imports may be missing or slow."""
    spec = importlib.util.find_spec(point.module)
    if spec is None or spec.origin is None:
        return "(not there: install again)"
    return _first_line(ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8"))))


def _extra(name: str) -> str:
    """The extra that brings what a command imports: a command of this package names it, else the package does."""
    if name in COMMANDS:
        return str(getattr(COMMANDS[name], "EXTRA", ""))
    offered = _offered()
    return offered[name].module.partition(".")[0].removeprefix("kronborg_") if name in offered else ""


def _interrupt(number: int, frame: object) -> NoReturn:
    """Leave on SIGTERM as on Ctrl-C: bars put away, temporary files removed, stores whole."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    name = given[0] if given else ""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options = parser(name).parse_args(given)
        return int(options.carry_out(options))
    except KronborgError as error:
        print(f"kronborg {name}: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        # What an extra brings may be wanted when a module is loaded, or only by one of the things that it does.
        extra = _extra(name)
        if not extra or str(error.name).startswith("kronborg"):
            raise
        wants = f"needs the extra '{extra}' ({error.name} is missing): pip install 'kronborg[{extra}]'"
        print(f"kronborg {name}: {wants}", file=sys.stderr)
        return InputError.exit_code
    except KeyboardInterrupt:
        print(f"kronborg {name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
