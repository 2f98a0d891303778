"""The command line: `kronborg COMMAND`.

Exit codes: 0 done, 1 an error of this program, 2 wrong input, 3 no secret key, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .commands import rate, replay, run
from .errors import KronborgError

COMMANDS = {"run": run, "replay": replay, "rate": rate}


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(prog="kronborg", description="Continuous-variable quantum key distribution, from light to keys.")
    top.add_argument("--version", action="version", version=f"kronborg {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").strip().splitlines()[0]
        options = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(options)
    return top


def _interrupt(number: int, frame: object) -> NoReturn:
    """Leave on SIGTERM as on Ctrl-C: bars put away, temporary files removed, stores whole."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(COMMANDS[options.command].run(options))
    except KronborgError as error:
        print(f"kronborg {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"kronborg {options.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
