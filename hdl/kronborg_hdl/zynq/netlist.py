"""A netlist of 7-series cells as nextpnr takes it: what it places wrongly is found, or said otherwise.

And what Yosys maps wrongly is kept from it, see :func:`synthesis`.

Three things are known of nextpnr's Xilinx target. Cascades of operands between DSP slices (ACOUT to ACIN, BCOUT to
BCIN) are configured wrongly, so that they would compute something else and nobody would know. Sums that cascade through
more than ten slices find no place, for a column's slices lie in groups of ten. And of a shift register in a look-up
table it knows no delay of the output, no cascade, and of 16 stages none of the input either.
"""

from __future__ import annotations

from typing import Any

Netlist = dict[str, Any]
"""A module as Yosys' ``write_json`` has it."""
LONGEST = 10
"""Slices whose sums may cascade."""
DSP = "DSP48E1"
_SUM_BITS = 48
_STAGES = 32
_ADDRESS = {"SRL16E": ("A0", "A1", "A2", "A3"), "SRLC32E": ("A",)}
"""Pins that say which stage of a shift register is its output."""
_FROM_CASCADE, _FROM_C = ("1", "0", "0"), ("1", "1", "0")
"""Bits 4 to 6 of OPMODE: where the sum that is added to comes from."""


def synthesis(top: str, options: str = "") -> str:
    """Yosys' commands that map what was read to 7-series cells, flat, without pins.

    Registers are made as narrow as what they hold before DSP slices take them. Where the upper bits of one are its
    sign, ``xilinx_dsp`` takes the register into the slice and leaves these bits without a driver: they became zero,
    and half of the resampler's words wrong (Yosys 0.70). Whatever is read and has no driver then ends the synthesis.
    """
    command = f"synth_xilinx -family xc7 -flatten -noiopad {options} -top {top}"
    return "\n".join(
        [
            f"{command} -run begin:map_dsp",
            "wreduce t:$*dff*",
            f"{command} -run map_dsp:coarse",
            # On a copy: what nothing reads is reported as well where it is not cleaned away.
            *("design -push-copy", "opt_expr", "opt_clean", "check -assert", "design -pop"),
            f"{command} -run coarse:\n",
        ]
    )


def shorten(module: Netlist) -> int:
    """Let the sum of every tenth slice of a cascade go through the fabric to the next one's operand C instead.

    That computes the same: C has no register here, and P is what PCOUT is.

    Returns: the cascades that were cut.

    Raises:
        ValueError: the netlist has what cannot be placed, or would compute something else: see above.
    """
    cells = module["cells"]
    slices = {name: cell for name, cell in cells.items() if cell["type"] == DSP}
    giver = {}
    for name, cell in slices.items():
        for port in ("ACOUT", "BCOUT", "PCOUT"):
            for bit in cell["connections"].get(port, ())[:1]:
                giver[bit] = (name, port)
    before: dict[str, str] = {}
    for name, cell in slices.items():
        for port in ("ACIN", "BCIN", "PCIN"):
            first = cell["connections"].get(port, ["0"])[0]
            if isinstance(first, str):
                continue
            if port != "PCIN":
                raise ValueError(f"{name} takes an operand from its neighbour, which nextpnr configures wrongly")
            before[name] = giver[first][0]
    free = free_net(module)
    cut = 0
    for name in sorted(before, key=lambda name: _length(name, before)):
        if _length(name, before) <= LONGEST:
            continue
        free = _through_fabric(name, slices[name], slices[before.pop(name)], free)
        cut += 1
    return cut


def register_delays(module: Netlist) -> int:
    """Give each shift register in a look-up table a register of its own for its last stage.

    So nothing but a wire within a slice is between it and a register, and what leaves it has a delay that nextpnr
    knows. All become ``SRLC32E``, whose input nextpnr knows too, and one that was cascaded gives its last stage.

    Returns: the shift registers.

    Raises:
        ValueError: one whose length is not constant, that is used at two places, has fewer than two stages, or shifts
            at the falling edge.
    """
    cells = module["cells"]
    found = {name: cell for name, cell in cells.items() if cell["type"] in _ADDRESS}
    used, free = _inputs(module), free_net(module)
    for name, cell in found.items():
        ends = cell["connections"]
        address = [bit for port in _ADDRESS[cell["type"]] for bit in ends[port]]
        outputs = [(port, ends[port][0]) for port in ("Q", "Q31") if port in ends and ends[port][0] in used]
        if len(outputs) != 1 or not set(address) <= {"0", "1"}:
            raise ValueError(f"{name} is no delay of one length: nextpnr knows nothing of it")
        port, delayed = outputs[0]
        stages = _STAGES if port == "Q31" else 1 + sum(int(bit) << place for place, bit in enumerate(address))
        if "1" in cell["parameters"].get("IS_CLK_INVERTED", "0"):
            raise ValueError(f"{name} shifts at the falling edge, for which there is no register here")
        if stages < 2:
            raise ValueError(f"{name} is a single register, and a shift register")
        first = cell["parameters"].get("INIT", "").replace("x", "0").rjust(_STAGES, "0")[::-1]
        cell["type"] = "SRLC32E"
        cell["parameters"] = {"INIT": first[: stages - 1][::-1].rjust(_STAGES, "0"), "IS_CLK_INVERTED": "0"}
        cell["port_directions"] = {"A": "input", "CE": "input", "CLK": "input", "D": "input", "Q": "output"}
        cell["connections"] = {
            "A": [str((stages - 2) >> place & 1) for place in range(5)],
            **{port: ends[port] for port in ("CE", "CLK", "D")},
            "Q": [free],
        }
        cells[f"{name}.last"] = {
            "hide_name": 1,
            "type": "FDRE",
            "parameters": {"INIT": first[stages - 1]},
            "attributes": {},
            "port_directions": {"C": "input", "CE": "input", "D": "input", "R": "input", "Q": "output"},
            "connections": {"C": ends["CLK"], "CE": ends["CE"], "D": [free], "R": ["0"], "Q": [delayed]},
        }
        free += 1
    return len(found)


def _inputs(module: Netlist) -> set[int | str]:
    """Nets that something reads."""
    ports = (port["bits"] for port in module["ports"].values() if port["direction"] != "input")
    pins = (
        bits
        for cell in module["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] != "output"
    )
    return {bit for bits in (*ports, *pins) for bit in bits}


def free_net(module: Netlist) -> int:
    """The first number that no net has."""
    nets = (net["bits"] for net in module["netnames"].values())
    pins = (bits for cell in module["cells"].values() for bits in cell["connections"].values())
    return 1 + max((bit for bits in (*nets, *pins) for bit in bits if isinstance(bit, int)), default=1)


def _length(name: str, before: dict[str, str]) -> int:
    """Slices of a cascade up to this one."""
    length = 1
    while name in before:
        name, length = before[name], length + 1
    return length


def _through_fabric(name: str, taker: Netlist, giver: Netlist, free: int) -> int:
    """Cut the cascade between two slices; returns the next number of a net that is free."""
    connections = taker["connections"]
    operation = connections["OPMODE"]
    unused = all(bit == "0" for bit in connections["C"])
    if tuple(operation[4:7]) != _FROM_CASCADE or not unused or int(taker["parameters"].get("CREG", "1"), 2):
        raise ValueError(f"{name} is slice {LONGEST + 1} of a cascade and uses its operand C: nextpnr cannot place it")
    result = giver["connections"]["P"]
    for bit in range(_SUM_BITS):
        if bit >= len(result):
            result.append(free)
            free += 1
    connections["C"] = list(result)
    connections["PCIN"] = ["0"] * _SUM_BITS
    connections["OPMODE"] = [*operation[:4], *_FROM_C]
    giver["connections"].pop("PCOUT", None)
    giver["port_directions"].pop("PCOUT", None)
    return free
