"""A Vivado script that makes a bitstream of an overlay: processor, overlay, nothing else; it fails where timing does.

A PYNQ image has configured the processor before it loads a bitstream, memory and pins among it. The script says of the
processor only what the fabric needs: the clock, the ports, and the interrupt.
"""

from __future__ import annotations

from ..axi.pages import PAGE_BYTES
from ..boards.board import Board
from .overlay import DMA_TYPE, Overlay

_ZYNQ_7000 = {
    "clock": "FCLK_CLK0",
    "reset": "FCLK_RESET0_N",
    "master_clock": "M_AXI_GP0_ACLK",
    "memory_clock": "S_AXI_HP{n}_ACLK",
    "settings": "PCW_FPGA0_PERIPHERAL_FREQMHZ {mhz} PCW_USE_M_AXI_GP0 1 PCW_USE_FABRIC_INTERRUPT 1 PCW_IRQ_F2P_INTR 1",
    "memory_settings": "PCW_USE_S_AXI_HP{n} 1",
}
_ZYNQ_ULTRASCALE = {
    "clock": "pl_clk0",
    "reset": "pl_resetn0",
    "master_clock": "maxihpm0_fpd_aclk",
    "memory_clock": "saxihp{n}_fpd_aclk",
    "settings": "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ {mhz} PSU__USE__M_AXI_GP0 1 PSU__USE__M_AXI_GP1 0"
    " PSU__USE__M_AXI_GP2 0 PSU__USE__IRQ0 1",
    "memory_settings": "PSU__USE__S_AXI_GP{m} 1 PSU__SAXIGP{m}__DATA_WIDTH {bits}",
}
_NAMES = {"zynq": _ZYNQ_7000, "zynquplus": _ZYNQ_ULTRASCALE}
REPORTS = ("utilisation.txt", "timing.txt")
REACHED = "vivado.json"
"""What the script says once timing is met: Vivado's version, and the slack of the slowest path."""
FIRST_MEMORY_GROUP = 2
"""Group number of an UltraScale+'s first memory port."""


def constraints(board: Board) -> str:
    """For synthesis out of context: the one clock. In a block design the processor's own constraints say it."""
    return f"create_clock -period {1e9 / board.clock_hz:.3f} -name aclk [get_ports aclk]\n"


def script(overlay: Overlay, board: Board) -> str:
    """The script, Tcl; it is run in the directory of the overlay's other files: ``vivado -mode batch -source``.

    Raises:
        ValueError: the processor has fewer memory ports than the overlay has DMA engines.
    """
    processor, name = board.processor, f"kronborg_{overlay.name}"
    names = _NAMES[processor.family]
    engines = [part.name for part in overlay.parts if part.type == DMA_TYPE]
    if len(engines) > len(processor.memory_ports):
        raise ValueError(f"overlay {overlay.name} has {len(engines)} DMA engines: {board.name} has fewer memory ports")
    settings = names["settings"].format(mhz=f"{board.clock_hz / 1e6:g}").split()
    for number, engine in enumerate(engines):
        bits = overlay[engine].parameters["c_m_axi_s2mm_data_width"]
        settings += names["memory_settings"].format(n=number, m=FIRST_MEMORY_GROUP + number, bits=bits).split()
    pairs = zip(settings[::2], settings[1::2], strict=True)
    said = " ".join(f"CONFIG.{key} {{{value}}}" for key, value in pairs)
    size = PAGE_BYTES << (len(overlay.pages.pages) - 1).bit_length()
    clocked = [names["master_clock"], *(names["memory_clock"].format(n=n) for n in range(len(engines)))]
    lines = [
        f"# {overlay.sentence}",
        f"# {board.title}, {board.device}. Fails if timing is not met.",
        f"file delete -force {name}.bit {REACHED}",
        f"create_project -force {name} vivado -part {board.device}",
        f"add_files {name}.v",
        "create_bd_design system",
        f"create_bd_cell -type ip -vlnv {processor.type} processor",
        f"set_property -dict [list {said}] [get_bd_cells processor]",
        f"create_bd_cell -type module -reference {name} overlay",
        "create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 resets",
        *_connect(f"processor/{names['reset']}", "resets/ext_reset_in"),
        *_connect("resets/peripheral_aresetn", "overlay/aresetn"),
        *_connect("overlay/irq", f"processor/{processor.interrupt}"),
        *_bridge("registers", f"processor/{processor.master}", "overlay/s_axi"),
    ]
    for engine, port in zip(engines, processor.memory_ports, strict=False):
        lines += _bridge(f"memory_{engine}", f"overlay/m_axi_{engine}", f"processor/{port}")
    clock = f"processor/{names['clock']}"
    bridges = ["registers", *(f"memory_{engine}" for engine in engines)]
    for pin in (
        *(f"processor/{pin}" for pin in clocked),
        "resets/slowest_sync_clk",
        "overlay/aclk",
        *(f"{bridge}/aclk" for bridge in bridges),
    ):
        lines += _connect(clock, pin)
    for bridge in bridges:
        lines += _connect("resets/peripheral_aresetn", f"{bridge}/aresetn")
    lines += [
        f"assign_bd_address -offset {processor.base:#x} -range {size} [get_bd_addr_segs overlay/s_axi/*]",
        "assign_bd_address",
        "validate_bd_design",
        "make_wrapper -files [get_files system.bd] -top -import",
        "set_property top system_wrapper [current_fileset]",
        "launch_runs impl_1 -to_step route_design",
        "wait_on_run impl_1",
        "open_run impl_1",
        f"report_utilization -file {REPORTS[0]}",
        f"report_timing_summary -file {REPORTS[1]}",
        "foreach kind {setup hold} {",
        "  set slack($kind) [get_property SLACK [get_timing_paths -max_paths 1 -$kind]]",
        '  if {$slack($kind) eq ""} { puts "there is no path of $kind: no bitstream"; exit 1 }',
        "  set missed [expr {-$slack($kind)}]",
        '  if {$missed > 0} { puts "timing of $kind is missed by $missed ns: no bitstream"; exit 1 }',
        "}",
        f"set reached [open {REACHED} w]",
        r'puts $reached "{\"vivado\": \"[version -short]\", \"setup_slack_ns\": $slack(setup)}"',
        "close $reached",
        f"write_bitstream -force {name}.bit",
    ]
    return "\n".join(lines) + "\n"


def _connect(one: str, other: str) -> list[str]:
    return [f"connect_bd_net [get_bd_pins {one}] [get_bd_pins {other}]"]


def _bridge(name: str, master: str, slave: str) -> list[str]:
    """Between AXI of two kinds or widths."""
    return [
        f"create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 {name}",
        f"set_property CONFIG.NUM_SI 1 [get_bd_cells {name}]",
        f"connect_bd_intf_net [get_bd_intf_pins {master}] [get_bd_intf_pins {name}/S00_AXI]",
        f"connect_bd_intf_net [get_bd_intf_pins {name}/M00_AXI] [get_bd_intf_pins {slave}]",
    ]
