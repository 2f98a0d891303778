"""What a block RAM of an ECP5 does, in Verilog: Yosys maps memories to it and has no model of it.

After Lattice's ECP5 and ECP5-5G Memory Usage Guide (TN1264, FPGA-TN-02204): 1024 words of 18 bits between two ports,
each 1, 2, 4, 9, 18 or 36 bits wide. Words of 1, 2 and 4 bits leave each ninth bit alone. Of a write of 18 or 36 bits,
the lowest bits of the address say which bytes of nine bits it is of.
"""

from __future__ import annotations

VECTORS, VECTOR_BITS = 64, 320
"""Of initial contents: each has 16 words, 20 bits apart."""
WORD_BITS, WORD_PITCH = 18, 20
_PORT_BITS = 18
_ADDRESS_BITS = 14


def _pins(name: str, bits: int) -> str:
    return ", ".join(f"{name}{bit}" for bit in reversed(range(bits)))


def _port(own: str, other: str) -> str:
    """One of both ports: what it is told, what it writes, and what it reads."""
    return f"""
  wire [{_ADDRESS_BITS - 1}:0] ad{own} = {{{_pins(f"AD{own}", _ADDRESS_BITS)}}};
  wire [8:0] row{own} = ad{own}[13:5];
  wire [5:0] offset{own} = place(DATA_WIDTH_{own}, ad{own});
  wire on{own} = CE{own} & ~(CS{own}2 | CS{own}1 | CS{own}0);
  wire write{own} = on{own} & WE{own} & ~RST{own};
  wire [35:0] written{own} = lanes(DATA_WIDTH_{own}, ad{own}) << offset{own};
  wire [35:0] data{own} = (DATA_WIDTH_{own} == 36 ? {{{_pins("DIB", _PORT_BITS)}, {_pins("DIA", _PORT_BITS)}}}
    : {{18'd0, {_pins(f"DI{own}", _PORT_BITS)}}}) << offset{own};
  // What the other port writes in the same clock cannot be read: it comes out wrong, so that it is not relied on.
  wire [35:0] unsure{own} = write{other} & row{other} == row{own} ? written{other} : 36'd0;
  wire [35:0] held{own};
  wire [35:0] stored{own} = held{own} ^ unsure{own};
  wire [35:0] seen{own} = WRITEMODE_{own} == "WRITETHROUGH" & write{own}
    ? stored{own} & ~written{own} | data{own} & written{own} : stored{own};
  reg [35:0] q{own} = 36'd0;
  wire clock{own} = CLK{own} ^ (CLK{own}MUX == "INV");
  wire take{own} = on{own} & (~write{own} | WRITEMODE_{own} != "NORMAL");
  generate
    if (RESETMODE == "SYNC") begin
      always @(posedge clock{own})
        if (RST{own}) q{own} <= 36'd0; else if (take{own}) q{own} <= seen{own} >> offset{own};
    end else begin
      always @(posedge clock{own}, posedge RST{own})
        if (RST{own}) q{own} <= 36'd0; else if (take{own}) q{own} <= seen{own} >> offset{own};
    end
  endgenerate
"""


_INPUTS = ", ".join(
    f"input {_pins(f'DI{port}', _PORT_BITS)}, {_pins(f'AD{port}', _ADDRESS_BITS)}, "
    f"CE{port}, OCE{port}, CLK{port}, WE{port}, RST{port}, CS{port}2, CS{port}1, CS{port}0"
    for port in "AB"
)
_OUTPUTS = ", ".join(f"output {_pins(f'DO{port}', _PORT_BITS)}" for port in "AB")
_PARAMETERS = "".join(
    f"""  parameter DATA_WIDTH_{port} = 18;
  parameter REGMODE_{port} = "NOREG";
  parameter WRITEMODE_{port} = "NORMAL";
  parameter CSDECODE_{port} = "0b000";
  parameter CLK{port}MUX = "CLK{port}";
"""
    for port in "AB"
)
_INITIAL = "".join(f"  parameter [{VECTOR_BITS - 1}:0] INITVAL_{n:02X} = 0;\n" for n in range(VECTORS))
_CONTENTS = ", ".join(
    f"INITVAL_{n:02X}[{WORD_PITCH * word}+:{WORD_BITS}]"
    for n in reversed(range(VECTORS))
    for word in reversed(range(VECTOR_BITS // WORD_PITCH))
)

DP16KD = f"""
module DP16KD({_INPUTS}, {_OUTPUTS});
{_PARAMETERS}{_INITIAL}
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter GSR = "AUTO";

  function [5:0] place(input integer width, input [13:0] address);
    case (width)
      36: place = 0;
      18: place = 18 * address[4];
      default: place = 9 * address[4:3] + (address[2:0] & (width == 9 ? 0 : width == 4 ? 4 : width == 2 ? 6 : 7));
    endcase
  endfunction
  function [35:0] lanes(input integer width, input [13:0] address);
    case (width)
      36: lanes = {{{{9{{address[3]}}}}, {{9{{address[2]}}}}, {{9{{address[1]}}}}, {{9{{address[0]}}}}}};
      18: lanes = {{{{9{{address[1]}}}}, {{9{{address[0]}}}}}};
      default: lanes = (36'd1 << width) - 36'd1;
    endcase
  endfunction

  // Modes that no memory is mapped to: a module that there is not says so.
  generate if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") no_model_of_output_registers unknown(); endgenerate
  generate if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") no_model_of_chip_selects unknown(); endgenerate

{_port("A", "B")}{_port("B", "A")}
  // Yosys' own cell, which has a write enable for each bit.
  \\$mem_v2 #(
    .MEMID("\\\\memory"), .SIZE(512), .OFFSET(0), .ABITS(9), .WIDTH(36), .INIT({{{_CONTENTS}}}),
    .RD_PORTS(2), .RD_CLK_ENABLE(2'd0), .RD_CLK_POLARITY(2'd3), .RD_TRANSPARENCY_MASK(4'd0),
    .RD_COLLISION_X_MASK(4'd0), .RD_WIDE_CONTINUATION(2'd0), .RD_CE_OVER_SRST(2'd0),
    .RD_ARST_VALUE(72'd0), .RD_SRST_VALUE(72'd0), .RD_INIT_VALUE(72'd0),
    .WR_PORTS(2), .WR_CLK_ENABLE(2'd3), .WR_CLK_POLARITY(2'd3), .WR_PRIORITY_MASK(4'd0), .WR_WIDE_CONTINUATION(2'd0)
  ) memory (
    .RD_CLK(2'd0), .RD_EN(2'd3), .RD_ARST(2'd0), .RD_SRST(2'd0), .RD_ADDR({{rowB, rowA}}), .RD_DATA({{heldB, heldA}}),
    .WR_CLK({{clockB, clockA}}), .WR_ADDR({{rowB, rowA}}), .WR_DATA({{dataB, dataA}}),
    .WR_EN({{writtenB & {{36{{writeB}}}}, writtenA & {{36{{writeA}}}}}})
  );
  assign {{{_pins("DOA", _PORT_BITS)}}} = DATA_WIDTH_B == 36 ? qB[17:0] : qA[17:0];
  assign {{{_pins("DOB", _PORT_BITS)}}} = DATA_WIDTH_B == 36 ? qB[35:18] : qB[17:0];
endmodule
"""
"""Both ports may have one clock or two; in one, a write and a read of the same bits give bits that are wrong."""
