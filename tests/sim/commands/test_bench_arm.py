"""`kronborg bench arm`: the program is built and run, here with NEON in plain C++, and a wrong bit is found."""

import platform
import shutil
from pathlib import Path

import numpy as np
import pytest
import simde_py

from kronborg.errors import InputError
from kronborg_sim.commands.bench import arm

COMPILERS = [name for name in ("c++",) if shutil.which(name) and platform.machine() == "x86_64"]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_program_says_what_numpy_says_and_one_wrong_bit_is_found(tmp_path: Path, compiler: str) -> None:
    (tmp_path / "arm_neon.h").write_text("#define SIMDE_ENABLE_NATIVE_ALIASES\n#include <simde/arm/neon.h>\n")
    program = tmp_path / "program"
    arm.build(f"{compiler} -DKRONBORG_NEON -I{tmp_path} -I{simde_py.get_include()}", program)
    task = arm.Task.draw(1, 1, 1)
    answer = arm.called([str(program)], task.written())
    assert task.compare(answer) == (0, 0, 2)
    for place, found in ((4 + 4, (1, 0, 2)), (4 + 8 + 1000, (1, 0, 2)), (len(answer) - 1, (0, 1, 2))):
        spoilt = np.frombuffer(answer, np.uint8).copy()
        spoilt[place] ^= 1
        assert task.compare(spoilt.tobytes()) == found
    with pytest.raises(InputError, match="ends too early"):
        task.compare(answer[:-1])
    with pytest.raises(InputError, match="one for ARM"):
        task.compare(bytes(4) + answer[4:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--compiler", "no-such-compiler"), "cannot be run"),
        (("--compiler", "false"), "failed"),
        (("--frames", "0"), "whole number"),
    ],
)
def test_bad_input_gets_one_line(bench, arguments: tuple[str, ...], said: str) -> None:
    found = bench("arm", *arguments)
    assert found.code == 2
    assert said in found.err.splitlines()[-1]
