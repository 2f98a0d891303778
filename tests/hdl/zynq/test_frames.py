"""Features to frames and back."""

from pathlib import Path

import numpy as np
import pytest

from kronborg_hdl.zynq.database import WORDS, Database
from kronborg_hdl.zynq.frames import assemble, correct, disassemble, flat

ECC = 0x1FFF


def ones(frames: dict[int, list[int]]) -> set[tuple[int, int]]:
    """Frame and number of each bit, but for the error-correcting code."""
    return {
        (frame, place * 32 + bit)
        for frame, words in frames.items()
        for place, word in enumerate(words)
        for bit in range(32)
        if word >> bit & 1 and not (place == WORDS // 2 and 1 << bit & ECC)
    }


def test_lines_become_a_feature_for_each_bit_that_is_one() -> None:
    text = """# nothing

    A_X0.B.C
    A_X0.B.INIT[3:0] = 4'b1010  # two
    A_X0.B.N[7] = 1
    A_X0.B.OFF = 0
    A_X0.H[15:8] = 8'h81 { .a = 1 }
    """
    assert list(flat(text)) == [
        ("A_X0", "B.C", 0),
        ("A_X0", "B.INIT", 1),
        ("A_X0", "B.INIT", 3),
        ("A_X0", "B.N", 7),
        ("A_X0", "H", 8),
        ("A_X0", "H", 15),
    ]


@pytest.mark.parametrize("line", ["nonsense", "A.B = 4'q0", "A.B[3:", "A B.C"])
def test_what_is_no_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is no feature"):
        list(flat(f"A.B\n{line}"))


def test_features_set_the_bits_of_their_tile_and_no_others(database: Database) -> None:
    text = """
    LOGIC_X0Y0.SITE_Y0.INIT[63:0] = 64'h8000000000000002
    LOGIC_X0Y1.WIRE_A.WIRE_B
    LOGIC_X0Y1.WIRE_D.WIRE_E
    MEMORY_X1Y0.RAM.ON
    MEMORY_X1Y0.RAM.INIT_00[255:0] = 256'b10
    RIM_X2Y0.SITE_Y0.USED
    """
    assert ones(assemble(flat(text), database)) == {
        (0x0, 6),
        (0x2, 7),
        (0x1, 99 * 32 + 10),
        (0x1, 99 * 32 + 12),
        (0x20002, 4 * 32 + 3),
        (0x800001, 4 * 32 + 63),
        (0x80, 10 * 32 + 1),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("LOGIC_X0Y0.WIRE_A.WIRE_B\nLOGIC_X0Y0.WIRE_A.WIRE_C", "contradicts another feature in frame 0x00000001"),
        ("LOGIC_X0Y0.WIRE_A.WIRE_Z\nLOGIC_X9Y9.LATCH", r"has no LOGIC_X0Y0.WIRE_A.WIRE_Z\[0\] and 1 others"),
        ("RIM_X2Y0.SITE_Y0.INVERTED\nRIM_X2Y0.WIRE_A.WIRE_B", r"has no RIM_X2Y0.WIRE_A.WIRE_B\[0\]$"),
        ("LOGIC_X0Y0.SITE_Y0.INIT[5]", r"has no LOGIC_X0Y0.SITE_Y0.INIT\[5\]$"),
        ("VOID_X3Y0.ANYTHING", r"has no VOID_X3Y0.ANYTHING\[0\]$"),
    ],
)
def test_what_the_device_does_not_have_is_refused(text: str, said: str, database: Database) -> None:
    with pytest.raises(ValueError, match=said):
        assemble(flat(text), database)


def test_frames_say_which_features_they_were_made_of(database: Database) -> None:
    text = """
    LOGIC_X0Y0.SITE_Y0.INIT[63:0] = 64'h3
    LOGIC_X0Y0.WIRE_A.WIRE_C
    LOGIC_X0Y1.SITE_Y1.INVERTED
    MEMORY_X1Y0.RAM.INIT_00[0]
    RIM_X2Y0.SITE_Y0.USED
    """
    features = set(flat(text))
    assert disassemble(assemble(features, database), database) == features


def test_a_bit_more_or_less_is_another_set_of_features(database: Database) -> None:
    features = set(flat("LOGIC_X0Y0.WIRE_A.WIRE_C\nLOGIC_X0Y0.SITE_Y0.LATCH"))
    frames = assemble(features, database)
    frames[1][0] ^= 1
    assert disassemble(frames, database) == set(flat("LOGIC_X0Y0.WIRE_A.WIRE_C"))
    frames[1][0] ^= 1 << 10
    assert disassemble(frames, database) == set()


def test_a_frames_code_names_the_bit_that_is_wrong() -> None:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**32, WORDS).tolist()
    correct(words)
    code, names = words[WORDS // 2] & ECC, set()
    places = [(int(place), int(bit)) for place, bit in rng.integers(0, (WORDS, 32), (60, 2)) if place != WORDS // 2]
    for place, bit in places:
        wrong = list(words)
        wrong[place] ^= 1 << bit
        correct(wrong)
        names.add((wrong[WORDS // 2] ^ code) & ECC)
    assert len(names) == len(set(places)), "each bit has a name of its own"
    assert all(name & 0xFFF and name.bit_count() > 1 for name in names), "and none is a bit of the code"


def test_a_part_that_is_not_there_is_named(bits: Path) -> None:
    with pytest.raises(ValueError, match=r"no bit database of xc7z010clg400-1 in .*: tilegrid\.json of it is missing"):
        Database(bits, "xc7z010clg400-1")
