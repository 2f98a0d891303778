"""Where PYNQ finds our overlays by name: ``pynq.Overlay("kronborg_transmitter.bit")``, with nothing else imported.

PYNQ looks into the folder of this package (entry point ``pynq.overlays``). ``kronborg build BOARD`` writes there, for
the board that this machine is or stands for; a bitstream is put beside the description that it was built with. No
bitstream comes with the package: nobody has built one.
"""

from pathlib import Path

SIMULATED = "kronborg_simulation"
"""Name of a simulated board's device."""


def folder(overlay: str) -> Path:
    """Where the files of an overlay are."""
    return Path(__file__).parent / f"kronborg_{overlay}"


def stand_in(overlay: str) -> tuple[Path, str]:
    """What PYNQ finds in a bitstream's place on a simulated board, and only there: path and text.

    PYNQ chooses by the device's name where one name stands for files of several devices.
    """
    name = f"kronborg_{overlay}"
    text = f"This is no bitstream: a simulated board runs {name}.v, or its model, in its place.\n"
    return folder(overlay) / f"{name}.bit.d" / f"{name}.{SIMULATED}.bit", text


def described(file: Path) -> Path:
    """The path, without suffix, of the files that belong to what PYNQ loads: a bitstream, Verilog, or a stand-in."""
    of = file.parent.with_suffix("") if file.parent.suffix == ".d" else file
    return of.with_suffix("")
