"""What is read from Verilog before it is compiled."""

import pytest

from kronborg_sim.rtl.build import Port, ports_of

VERILOG = """
module other(a);
  input a;
endmodule
(* top *)
module chooses(aclk, s_axis_tdata, nothing, m_axis_tdata);
  wire [3:0] chosen;
  input aclk;
  wire aclk;
  input [7:0] s_axis_tdata;
  input [-1:0] nothing;
  output [3:0] m_axis_tdata;
  function [3:0] _0_;
    input [3:0] a;
    input [7:0] b;
    input [1:0] s;
    casez (s) // synopsys parallel_case
      2'b?1:
        _0_ = b[3:0];
      2'b1?:
        _0_ = b[7:4];
      default:
        _0_ = a;
    endcase
  endfunction
  assign chosen = _0_(4'h0, s_axis_tdata, 2'h1);
  assign m_axis_tdata = chosen;
endmodule
"""


def test_inputs_of_a_function_are_no_ports() -> None:
    assert ports_of(VERILOG, "chooses") == (
        Port("aclk", 1, True),
        Port("s_axis_tdata", 8, True),
        Port("m_axis_tdata", 4, False),
    )


def test_a_module_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="the Verilog has no module absent"):
        ports_of(VERILOG, "absent")
