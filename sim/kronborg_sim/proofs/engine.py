"""Prove the claims of a component, or refute them with a trace.

Claims, assumptions and covers are Amaranth's ``Assert``, ``Assume`` and ``Cover``, each with a text, in the comb domain
of a component whose ports are its free inputs (see ``harness``). Yosys turns it into gates; ABC, which comes with it,

1. searches all runs of `depth` clocks from reset values for a broken claim: bounded model check, the shortest trace;
2. proves all claims for every run of any length by induction: property directed reachability finds an inductive
   invariant that implies them, and checks it (Een, Mishchenko & Brayton, FMCAD 2011);
   Where the claims are their own invariant it is enough to show that they follow for a clock from the one before;
3. looks for a run to each cover, so that a claim about what never happens does not pass for a proof.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from amaranth import Value
from amaranth.back import rtlil
from amaranth.lib import wiring

from .trace import Trace, read_vcd


class Outcome(Enum):
    """What became of a proof."""

    PROVEN = "proven"
    """All claims hold in every run, and every cover was reached."""
    REFUTED = "refuted"
    """A run breaks a claim."""
    VACUOUS = "vacuous"
    """The claims hold, but a cover was not reached."""
    UNDECIDED = "undecided"
    """No run that was searched breaks a claim; the induction ran out of time."""


@dataclass(frozen=True)
class Verdict:
    """What was found out.

    Attributes:
        outcome: see :class:`Outcome`.
        claims: texts of all claims.
        broken: texts of the claims that the trace breaks in its last clock.
        trace: a run that breaks a claim, the shortest one if it has `depth` clocks or fewer.
        reached: for each cover the clock of some run in which it is reached, from 0; None if none was found.
        depth: clocks that were searched without a broken claim; fewer than were asked for when time ran out.
        clauses: size of the inductive invariant, beside the claims themselves.
        seconds: of this machine's processors.
    """

    outcome: Outcome
    claims: tuple[str, ...]
    broken: tuple[str, ...]
    trace: Trace | None
    reached: dict[str, int | None]
    depth: int
    clauses: int | None
    seconds: float

    def __str__(self) -> str:
        lines = [f"{self.outcome.value}: {len(self.claims)} claims, {self.depth} clocks searched, {self.seconds:.1f} s"]
        lines += [f"broken: {text}" for text in self.broken]
        lines += [f"never reached: {text}" for text, clock in self.reached.items() if clock is None]
        if self.trace:
            lines.append(str(self.trace))
        return "\n".join(lines)


class ProofError(RuntimeError):
    """A tool failed, or there is nothing to prove."""


def prove(
    component: wiring.Component,
    depth: int = 12,
    *,
    cut: Sequence[str] = (),
    merge: bool = False,
    complete: bool = False,
    search_seconds: int = 2,
    seconds: int = 60,
    directory: Path | None = None,
) -> Verdict:
    """Prove all claims in a component.

    Args:
        component: with ``Assert`` (at least one), ``Assume`` and ``Cover`` in it. Its inputs, and reset, are free.
        depth: clocks that are searched for the shortest run to a broken claim.
        cut: Yosys selections of cells whose outputs become free inputs, such as ``t:$mul``. Sound: what holds for any
            value that a multiplier may give holds for the one that it does give. But a trace can then be spurious, and
            so can a cover's.
        merge: first find registers that are equal in every run, by induction as well, and make them one: for claims
            that hold because two large parts do the same. Some register must be left.
        complete: the claims are an inductive invariant: no other one is looked for, which with sums in claims would
            not end. What is then not proven may be true, or be broken after `depth` clocks.
        search_seconds: that this search may take.
        seconds: that the induction may take, and each cover.
        directory: for intermediate files and ``trace.vcd``; made if needed. By default a temporary one.

    Raises:
        ProofError: a tool failed, or there is no claim.
    """
    if directory is None:
        with tempfile.TemporaryDirectory() as temporary:
            return prove(
                component,
                depth,
                cut=cut,
                merge=merge,
                complete=complete,
                search_seconds=search_seconds,
                seconds=seconds,
                directory=Path(temporary),
            )
    directory.mkdir(parents=True, exist_ok=True)
    began = _processor_seconds()
    ports = {
        "_".join(map(str, path)): (Value.cast(value), None) for path, _, value in component.signature.flatten(component)
    }
    (directory / "top.il").write_text(rtlil.convert(component, name="top", ports=ports, emit_src=False))
    _run([sys.executable, "-m", f"{__package__}.lowering", ".", *cut], directory)
    texts = json.loads((directory / "claims.json").read_text())
    claims, covers = tuple(texts["assert"]), tuple(texts["cover"])
    if not claims:
        raise ProofError(f"{type(component).__name__} claims nothing")
    outputs = re.findall(r"^output \d+ 0 (\w+)$", (directory / "design.aim").read_text(), flags=re.MULTILINE)

    def cone(name: str) -> list[str]:
        """Commands that read what one output depends on. Inputs all stay, for the trace."""
        fold = ["fold"] if texts["assume"] else []
        return ["read_aiger design.aig", *fold, "strash", f"cone -a -N {outputs.index(name)}", "scleanup"]

    searched, invariant, trace = depth, None, None
    said = _abc(directory, *cone("any_broken"), f"bmc3 -F {depth} -T {search_seconds}", "write_cex -a trace.aiw")
    if not _asserted(said):
        searched = int(_found(r"No output asserted in (\d+) frames", said))
        merged = ["scorr"] if merge else []
        if complete:
            # Two clocks; the claims of the first one are assumed. The search has looked at the first clock from reset.
            said = _abc(directory, *cone("any_broken"), *merged, f"ind -F 2 -T {seconds}")
            invariant = 0 if "Networks are equivalent" in said and searched else None
        else:
            said = _abc(directory, *cone("any_broken"), *merged, f"pdr -T {seconds}", "write_cex -a trace.aiw")
        if "Property proved" in said:
            invariant = int(_found(r"Verification of invariant with (\d+) clauses was successful", said))
    if _asserted(said):
        trace = _replay(directory, "trace.aiw")
        searched = min(searched, len(trace.rows["clk"]) - 1)
    cones = {text: cone(f"cover_{n}") for n, text in enumerate(covers)}
    reached = {} if trace else _reach(directory, cones, f"bmc3 -F 64 -T {seconds}" if complete else f"pdr -T {seconds}")
    if trace:
        outcome = Outcome.REFUTED
    elif invariant is None:
        outcome = Outcome.UNDECIDED
    else:
        outcome = Outcome.VACUOUS if None in reached.values() else Outcome.PROVEN
    broken = tuple(text for n, text in enumerate(claims) if trace and trace.rows[f"broken_{n}"][-1])
    return Verdict(outcome, claims, broken, trace, reached, searched, invariant, _processor_seconds() - began)


def _asserted(said: str) -> bool:
    """Whether ABC has found a run to the output."""
    return "was asserted in frame" in said


def _reach(directory: Path, cones: dict[str, list[str]], search: str) -> dict[str, int | None]:
    """The clock in which each output was found to be high, by its text."""
    commands = [command for cone in cones.values() for command in ("echo", "echo next", *cone, search)]
    answers = _abc(directory, *commands).split("next")[1:] if cones else []
    return {
        text: int(_found(r"was asserted in frame +(\d+)", said)) if _asserted(said) else None
        for text, said in zip(cones, answers, strict=True)
    }


def _found(pattern: str, said: str) -> str:
    """The group of a pattern that must be there."""
    match = re.search(pattern, said)
    if match is None:
        raise ProofError(f"ABC does not say {pattern!r}:\n{said[-2000:]}")
    return match[1]


def _replay(directory: Path, witness: str) -> Trace:
    """The run that ABC found, as values of all signals of the design."""
    # The first line is the state at the start, all zeros, of the flip-flops that were not cleaned up: give all of them.
    flip_flops = int((directory / "design.aig").read_bytes().split(maxsplit=4)[3])
    _, *inputs = (directory / witness).read_text().splitlines()
    (directory / witness).write_text("\n".join(["0" * flip_flops, *inputs]) + "\n")
    script = "read_rtlil design.il", f"sim -hdlname -clock clk -r {witness} -map design.aim -vcd trace.vcd"
    run = "import sys; from pyosys import libyosys as y; d = y.Design(); [y.run_pass(c, d) for c in sys.argv[1:]]"
    _run([sys.executable, "-c", run, *script], directory)
    return read_vcd((directory / "trace.vcd").read_text())


def _abc(directory: Path, *commands: str) -> str:
    import pyosys

    # From a file: its own command line holds two thousand letters.
    (directory / "script.abc").write_text("\n".join(commands) + "\n")
    return _run([str(Path(pyosys.__file__).parent / "yosys-abc"), "-f", "script.abc"], directory)


def _run(command: Sequence[str], directory: Path) -> str:
    """What a command prints; it must succeed."""
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ProofError(f"{' '.join(command)} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout


def _processor_seconds() -> float:
    """Of this process and those that it has waited for."""
    times = os.times()
    return sum(times[:4])
