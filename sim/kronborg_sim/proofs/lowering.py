"""From RTLIL to an AIGER file, by Yosys. Run as a program, because Yosys ends the process that it fails in.

Usage: ``python -m kronborg_sim.proofs.lowering DIRECTORY CELLS...``: reads ``top.il`` and cuts the CELLS (Yosys
selections). It writes

* ``design.il``: the design flat, claims made outputs, cut cells made inputs, words still words: to replay a trace;
* ``design.aig``, ``design.aim``: the same in gates and flip-flops. Output 0 is high when any claim is broken, output n
  when cover n is reached;
* ``claims.json``: the texts of claims and covers, in their order.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyosys import libyosys as yosys

CLAIM, COVER, ASSUMPTION = "assert", "cover", "assume"


def _id(name: str) -> yosys.IdString:
    return yosys.IdString("\\" + name)


def _output(top: yosys.Module, name: str, value: yosys.SigSpec) -> None:
    wire = top.addWire(_id(name), value.size())
    wire.port_output = True
    top.connect(yosys.SigSpec(wire), value)


def claims_to_outputs(top: yosys.Module) -> dict[str, list[str]]:
    """Turn ``$check`` cells into outputs, assumptions into ``$assume`` cells. Returns the texts by kind."""
    texts: dict[str, list[str]] = {CLAIM: [], COVER: [], ASSUMPTION: []}
    broken = yosys.SigSpec()
    for cell in list(top.cells_.values()):
        if cell.type.str() != "$check":
            continue
        kind = cell.getParam(_id("FLAVOR")).decode_string()
        number = len(texts[kind])
        texts[kind].append(cell.getParam(_id("FORMAT")).decode_string())
        holds, enable = cell.getPort(_id("A")), cell.getPort(_id("EN"))
        if kind == ASSUMPTION:
            top.addAssume(_id(f"assumption_{number}"), holds, enable)
        elif kind == CLAIM:
            this = top.And(_id(f"broken_and_{number}"), top.Not(_id(f"broken_not_{number}"), holds), enable)
            broken.append(this)
            _output(top, f"broken_{number}", this)
        else:
            _output(top, f"cover_{number}", top.And(_id(f"cover_and_{number}"), holds, enable))
        top.remove(cell)
    _output(top, "any_broken", top.ReduceOr(_id("any_broken_or"), broken))
    top.fixup_ports()
    return texts


def free_values_to_inputs(top: yosys.Module) -> None:
    """Turn ``$anyseq`` cells, which stand for whatever was cut, into inputs: a trace then shows them."""
    for number, cell in enumerate(list(top.cells_.values())):
        if cell.type.str() != "$anyseq":
            continue
        value = cell.getPort(_id("Y"))
        wire = top.addWire(_id(f"cut_{number}"), value.size())
        wire.port_input = True
        top.remove(cell)
        top.connect(value, yosys.SigSpec(wire))
    top.fixup_ports()


def lower(directory: Path, cut: list[str]) -> None:
    """Do what the module says."""
    design = yosys.Design()

    def run(*commands: str) -> None:
        for command in commands:
            yosys.run_pass(command, design)

    run(f"read_rtlil {directory / 'top.il'}", "hierarchy -top top", "proc", "memory_collect", "memory_nordff")
    if cut:
        run(f"cutpoint {' '.join(cut)}")
    run("flatten", "setundef -undriven -anyseq", "opt_clean")
    top = design.top_module()
    texts = claims_to_outputs(top)
    free_values_to_inputs(top)
    run(f"write_rtlil {directory / 'design.il'}")
    run(
        "delete -output o:* o:any_broken %d o:cover_* %d",
        "opt_clean -purge",  # what no claim depends on
        "memory_map -formal",
        "techmap",
        "opt_clean -purge",
        "formalff -clk2ff -ff2anyinit",
        "simplemap",
        "dffunmap",
        "aigmap",
        f"write_aiger -I -L -zinit -no-startoffset -map {directory / 'design.aim'} {directory / 'design.aig'}",
    )
    (directory / "claims.json").write_text(json.dumps(texts))


if __name__ == "__main__":
    lower(Path(sys.argv[1]), sys.argv[2:])
