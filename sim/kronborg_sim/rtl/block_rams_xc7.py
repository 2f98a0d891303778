"""What block RAMs of the 7 series do, in Verilog: Yosys' models of them are empty.

After Xilinx' 7 Series FPGAs Memory Resources (UG473): 512 rows of 4 bytes (RAMB18E1) or 8 (RAMB36E1), each of eight
bits and one of parity. Two ports read and write words of 1, 2 or 4 bits, which leave parity alone, or of bytes, up to
half a row; or A only reads and B only writes, up to a whole row.

Pins and parameters are those that Yosys gives a memory; a netlist with others is refused.
"""

from __future__ import annotations

ROWS = 512
VECTOR_BITS = 256
"""Of a parameter with initial contents."""
_PINS = {"A": ("CLKARDCLK", "ENARDEN", "RSTRAMARSTRAM"), "B": ("CLKBWRCLK", "ENBWREN", "RSTRAMB")}
"""Of each port: clock, enable, and reset of what was read."""
_ADDRESS = {"A": "ADDRARDADDR", "B": "ADDRBWRADDR"}
_STROBES = {"A": "WEA", "B": "WEBWE"}


def _bytes(way: str, port: str, count: int) -> str:
    """Pins of a port, DI or DO, as bytes of nine bits, the last byte first."""
    parity, data = f"{way}P{port}{way}P", f"{way}{port}{way}"
    return ", ".join(f"{parity}[{byte}], {data}[{8 * byte}+:8]" for byte in reversed(range(count)))


def _port(own: str, other: str, row: int) -> str:
    """One of both ports: what it writes, and what it reads."""
    bits, within = 9 * row, row.bit_length() + 2
    clock, enable, reset = _PINS[own]
    address, strobes = _ADDRESS[own], _STROBES[own]
    return f"""
  wire [8:0] row{own} = {address}[{within + 8}:{within}];
  wire [6:0] from{own} = place(READ_WIDTH_{own}, {address}[{within - 1}:0]);
  wire [6:0] to{own} = place(WRITE_WIDTH_{own}, {address}[{within - 1}:0]);
  wire write{own} = {enable} & |{strobes} & WRITE_WIDTH_{own} != 0;
  wire [{bits - 1}:0] written{own} = write{own} ? lanes(WRITE_WIDTH_{own}, {strobes}) << to{own} : {bits}'d0;
  wire [{bits - 1}:0] data{own} = given{own} << to{own};
  // What the other port writes in the same clock can be read if that one reads first. If not it comes out wrong, so
  // that it is not relied on.
  wire [{bits - 1}:0] unsure{own} =
    WRITE_MODE_{other} != "READ_FIRST" & row{other} == row{own} ? written{other} : {bits}'d0;
  wire [{bits - 1}:0] held{own};
  wire [{bits - 1}:0] stored{own} = held{own} ^ unsure{own};
  wire [{bits - 1}:0] seen{own} = WRITE_MODE_{own} == "WRITE_FIRST"
    ? stored{own} & ~written{own} | data{own} & written{own} : stored{own};
  reg [{bits - 1}:0] q{own} = first{own};
  always @(posedge {clock}) if ({enable})
    if ({reset}) q{own} <= cleared{own};
    else if (~write{own} | WRITE_MODE_{own} != "NO_CHANGE") q{own} <= seen{own} >> from{own};
"""


def _spread(port: str, bits: int) -> str:
    """What is read before the first clock and after a reset: of a row, the upper half is said by B's parameters."""
    width, half = f"READ_WIDTH_{port}", bits // 2
    if port == "B":
        return "".join(
            f"  wire [{bits - 1}:0] {name} = spread({width}, {given}_B);\n"
            for name, given in (("firstB", "INIT"), ("clearedB", "SRVAL"))
        )
    return "".join(
        f"  wire [{bits - 1}:0] {name} = {width} == {bits}\n"
        f"    ? {{spread({half}, {given}_B), spread({half}, {given}_A)}} : spread({width}, {given}_A);\n"
        for name, given in (("firstA", "INIT"), ("clearedA", "SRVAL"))
    )


def _model(name: str, row: int, address_bits: int, further: str = "") -> str:
    """A memory with so many bytes in a row; further parameters, and in which modes there is no model."""
    half, bits, data, within = row // 2, 9 * row, 4 * row, row.bit_length() + 2
    vectors = [f"INIT_{n:02X}" for n in range(8 * ROWS * row // VECTOR_BITS)]
    vectors += [f"INITP_{n:02X}" for n in range(ROWS * row // VECTOR_BITS)]
    parameters = "".join(f"  parameter [{VECTOR_BITS - 1}:0] {vector} = 0;\n" for vector in vectors)
    contents = ", ".join(
        f"INITP_{byte // VECTOR_BITS:02X}[{byte % VECTOR_BITS}], "
        f"INIT_{8 * byte // VECTOR_BITS:02X}[{8 * byte % VECTOR_BITS}+:8]"
        for byte in reversed(range(ROWS * row))
    )
    of_ports = "".join(
        f"""  parameter READ_WIDTH_{port} = 0;
  parameter WRITE_WIDTH_{port} = 0;
  parameter WRITE_MODE_{port} = "WRITE_FIRST";
  parameter DO{port}_REG = 0;
  parameter [{9 * half - 1}:0] INIT_{port} = 0;
  parameter [{9 * half - 1}:0] SRVAL_{port} = 0;
"""
        for port in "AB"
    )
    return f"""
module {name}(
  input {", ".join(pin for port in "AB" for pin in _PINS[port])}, REGCEAREGCE, REGCEB, RSTREGARSTREG, RSTREGB,
  input [{address_bits - 1}:0] ADDRARDADDR, ADDRBWRADDR, input [{half - 1}:0] WEA, input [{row - 1}:0] WEBWE,
  input [{data - 1}:0] DIADI, DIBDI, input [{half - 1}:0] DIPADIP, DIPBDIP,
  output [{data - 1}:0] DOADO, DOBDO, output [{half - 1}:0] DOPADOP, DOPBDOP);
{parameters}{of_ports}  parameter RAM_MODE = "TDP";
{further}
  generate if (DOA_REG != 0 || DOB_REG != 0) no_model_of_output_registers unknown(); endgenerate

  function [6:0] place(input integer width, input [{within - 1}:0] address);
    place = width < 9 ? 9 * address[{within - 1}:3] + (address[2:0] & ~(width - 1))
      : 9 * (address[{within - 1}:3] & ~(width / 9 - 1));
  endfunction
  function [{bits - 1}:0] lanes(input integer width, input [{row - 1}:0] strobes);
    integer n;
    for (n = 0; n < {bits}; n = n + 1) lanes[n] = n < width & strobes[n / 9];
  endfunction
  // Parameters have the bytes' parity above all of them.
  function [{bits - 1}:0] spread(input integer width, input [{9 * half - 1}:0] value);
    integer n;
    begin
      spread = value;
      if (width >= 9)
        for (n = 0; n < {half}; n = n + 1) spread[9 * n+:9] = {{value[8 * (width / 9) + n], value[8 * n+:8]}};
    end
  endfunction

  wire [{bits - 1}:0] givenA = {{{_bytes("DI", "A", half)}}};
  wire [{9 * half - 1}:0] inB = {{{_bytes("DI", "B", half)}}};
  wire [{bits - 1}:0] givenB = WRITE_WIDTH_B == {bits} ? {{inB, givenA[{9 * half - 1}:0]}} : inB;
{_spread("A", bits)}{_spread("B", bits)}{_port("A", "B", row)}{_port("B", "A", row)}
  // Yosys' own cell, which has a write enable for each bit.
  \\$mem_v2 #(
    .MEMID("\\\\memory"), .SIZE({ROWS}), .OFFSET(0), .ABITS(9), .WIDTH({bits}), .INIT({{{contents}}}),
    .RD_PORTS(2), .RD_CLK_ENABLE(2'd0), .RD_CLK_POLARITY(2'd3), .RD_TRANSPARENCY_MASK(4'd0),
    .RD_COLLISION_X_MASK(4'd0), .RD_WIDE_CONTINUATION(2'd0), .RD_CE_OVER_SRST(2'd0),
    .RD_ARST_VALUE({2 * bits}'d0), .RD_SRST_VALUE({2 * bits}'d0), .RD_INIT_VALUE({2 * bits}'d0),
    .WR_PORTS(2), .WR_CLK_ENABLE(2'd3), .WR_CLK_POLARITY(2'd3), .WR_PRIORITY_MASK(4'd0), .WR_WIDE_CONTINUATION(2'd0)
  ) memory (
    .RD_CLK(2'd0), .RD_EN(2'd3), .RD_ARST(2'd0), .RD_SRST(2'd0), .RD_ADDR({{rowB, rowA}}), .RD_DATA({{heldB, heldA}}),
    .WR_CLK({{CLKBWRCLK, CLKARDCLK}}), .WR_ADDR({{rowB, rowA}}), .WR_DATA({{dataB, dataA}}),
    .WR_EN({{writtenB, writtenA}})
  );
  assign {{{_bytes("DO", "A", half)}}} = qA[{9 * half - 1}:0];
  assign {{{_bytes("DO", "B", half)}}} = READ_WIDTH_A == {bits} ? qA[{bits - 1}:{9 * half}] : qB[{9 * half - 1}:0];
endmodule
"""


_EXTENSION = """  parameter RAM_EXTENSION_A = "NONE";
  parameter RAM_EXTENSION_B = "NONE";
  generate if (RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") no_model_of_cascades unknown(); endgenerate
"""

RAMB = _model("RAMB18E1", 4, 14) + _model("RAMB36E1", 8, 16, _EXTENSION)
"""Both ports may have one clock or two; in one, a write and a read of the same bits give bits that are wrong unless the
port that writes reads first."""
