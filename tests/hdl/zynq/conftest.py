"""A part that nobody makes: few tiles, few frames, in the files of the real database."""

import json
from pathlib import Path

import pytest

from kronborg_hdl.zynq.database import Database

PART = "xc7z020clg400-1"
IDENTITY = 0x0372_7093
ROWS = {
    "top": {"0": {"CLB_IO_CLK": [3, 2], "BLOCK_RAM": [2]}, "1": {"CLB_IO_CLK": [3]}},
    "bottom": {"0": {"CLB_IO_CLK": [2, 2], "BLOCK_RAM": [2]}},
}
"""Frames of each column."""
GRID = {
    "LOGIC_X0Y0": {"type": "LOGIC", "bits": {"CLB_IO_CLK": {"baseaddr": "0x0", "frames": 3, "offset": 0, "words": 2}}},
    "LOGIC_X0Y1": {"type": "LOGIC", "bits": {"CLB_IO_CLK": {"baseaddr": "0x0", "frames": 3, "offset": 99, "words": 2}}},
    "MEMORY_X1Y0": {
        "type": "MEMORY",
        "bits": {
            "CLB_IO_CLK": {"baseaddr": "0x00020000", "frames": 3, "offset": 4, "words": 2},
            "BLOCK_RAM": {"baseaddr": "0x00800000", "frames": 2, "offset": 4, "words": 2},
        },
    },
    # The upper half of a LOGIC, whose second site is this one's first.
    "RIM_X2Y0": {
        "type": "RIM",
        "bits": {
            "CLB_IO_CLK": {
                "baseaddr": "0x00000080",
                "frames": 2,
                "offset": 10,
                "words": 1,
                "alias": {"type": "LOGIC", "start_offset": 1, "sites": {"SITE_Y0": "SITE_Y1"}},
            }
        },
    },
    "VOID_X3Y0": {"type": "VOID", "bits": {}},
}
SEGBITS = {
    "segbits_logic.db": """\
LOGIC.SITE_Y0.INIT[00] 00_05
LOGIC.SITE_Y0.INIT[01] 00_06
LOGIC.SITE_Y0.INIT[63] 02_07
LOGIC.SITE_Y0.LATCH 01_00
LOGIC.SITE_Y1.INVERTED 01_40
LOGIC.SITE_Y1.USED 00_33
LOGIC.WIRE_A.WIRE_B 01_10 !01_11 01_12
LOGIC.WIRE_A.WIRE_C !01_10 01_11 01_12
""",
    "ppips_logic.db": "LOGIC.WIRE_D.WIRE_E always\n",
    "segbits_memory.db": "MEMORY.RAM.ON 02_03\n",
    "segbits_memory.block_ram.db": "MEMORY.RAM.INIT_00[000] 00_00\nMEMORY.RAM.INIT_00[001] 01_63\n",
}


def described() -> dict:
    return {
        "idcode": IDENTITY,
        "global_clock_regions": {
            half: {
                "rows": {
                    row: {
                        "configuration_buses": {
                            bus: {
                                "configuration_columns": {
                                    str(number): {"frame_count": count} for number, count in enumerate(columns)
                                }
                            }
                            for bus, columns in buses.items()
                        }
                    }
                    for row, buses in rows.items()
                }
            }
            for half, rows in ROWS.items()
        },
    }


@pytest.fixture(scope="package")
def bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bits")
    for name in ("xc7z020", PART):
        (folder / name).mkdir()
    (folder / "xc7z020" / "tilegrid.json").write_text(json.dumps(GRID))
    (folder / PART / "part.json").write_text(json.dumps(described()))
    (folder / PART / "required_features.fasm").write_text("LOGIC_X0Y1.SITE_Y0.LATCH\n")
    for name, text in SEGBITS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="package")
def database(bits: Path) -> Database:
    return Database(bits, PART)
