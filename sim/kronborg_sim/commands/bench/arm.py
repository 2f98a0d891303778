"""Run the native library's ARM code in an emulator, or on an ARM machine, and compare every bit with numpy."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import kronborg
from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import InputError
from kronborg.postprocessing.privacy_amplification import hash_bits, seed_bytes
from kronborg.postprocessing.reconciliation import Code, Decoder, alice_llr, bob_message, choose_code
from kronborg.postprocessing.reconciliation.byte_arithmetic import tables_for
from kronborg.postprocessing.reconciliation.native import INSTRUCTIONS

from .outcome import Outcome, whole

SOURCES = ("byte_decoder", "toeplitz")
COMPILER = "aarch64-linux-gnu-g++ -static"
EMULATOR = "qemu-aarch64"
SNR = 0.54
ROWS, COLUMNS = 30_011, 70_001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--compiler", default=COMPILER, metavar="COMMAND", help="C++ for ARM (default: %(default)s)")
    parser.add_argument(
        "--emulator", default=EMULATOR, metavar="COMMAND", help='runs the program (default: %(default)s; "" on ARM)'
    )
    parser.add_argument("--frames", type=float, default=2, metavar="N", help="to decode (default 2)")
    parser.add_argument("--iterations", type=float, default=12, metavar="N", help="of each (default 12)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of everything (default 1)")


@dataclass(frozen=True)
class Task:
    """What the program gets, and what it must answer.

    Attributes:
        code: of all frames.
        frames: log-likelihood ratios and syndrome of each.
        iterations: of each frame.
        seed: of the Toeplitz matrix, random bytes.
        bits: what it is multiplied with, uint8 zeros and ones.
    """

    code: Code
    frames: list[tuple[NDArray[np.float32], NDArray[np.uint8]]]
    iterations: int
    seed: bytes
    bits: NDArray[np.uint8]

    @classmethod
    def draw(cls, frames: int, iterations: int, seed: int) -> Task:
        """Frames near the threshold, which so few iterations leave far from right: bits that are not all alike."""
        code, drawn = choose_code(SNR), []
        for number in range(frames):
            rng = np.random.default_rng([seed, number])
            x = rng.normal(0, np.sqrt(SNR), code.length)
            bits = rng.integers(0, 2, code.length, dtype=np.uint8)
            message = bob_message(x + rng.standard_normal(code.length), bits)
            drawn.append((alice_llr(x, message, 1.0, 1.0), Decoder(code).syndrome(bits)))
        rng = np.random.default_rng([seed, 1 << 32])
        matrix, bits = rng.bytes(seed_bytes(ROWS + COLUMNS)), rng.integers(0, 2, COLUMNS, dtype=np.uint8)
        return cls(code, drawn, iterations, matrix, bits)

    def written(self) -> bytes:
        """As arm_runner.cpp reads it."""
        graph = self.code.graph
        sizes = (graph.lifting, graph.core_columns, graph.core_rows, len(graph.row_degrees), len(self.frames))
        parts = [
            np.array([*sizes, self.iterations, INSTRUCTIONS["neon"]], "<i4"),
            graph.first_edge.astype("<i8"),
            graph.columns.astype("<i4"),
            graph.shifts.astype("<i4"),
        ]
        for llr, syndrome in self.frames:
            tables = tables_for(llr)
            parts += [np.array([1 / tables.step], "<f4"), np.array([tables.shift], "<i4")]
            parts += [tables.to_sum, tables.leaf_sum, tables.from_sum, tables.correction, llr.astype("<f4"), syndrome]
        parts += [np.array([ROWS, COLUMNS], "<i8"), np.frombuffer(self.seed, np.uint8), np.packbits(self.bits)]
        return b"".join(part.tobytes() for part in parts)

    def compare(self, answer: bytes) -> tuple[int, int, int]:
        """Frames that differ from numpy's, ways to multiply that do, and how many of these there are.

        Raises:
            InputError: the answer ends too early, or the program has no such decoder.
        """
        at = 0

        def take(dtype: str, count: int) -> NDArray[np.generic]:
            nonlocal at
            values = np.frombuffer(answer, dtype, count, at)
            at += values.nbytes
            return values

        try:
            if not take("<i4", 1)[0]:
                raise InputError("the program has no vector instructions for bytes: is that compiler one for ARM?")
            frames = 0
            for llr, syndrome in self.frames:
                outcome, bits = take("<i4", 2).tolist(), take("u1", self.code.length)
                mine = Decoder(self.code, False, "bytes").decode(llr, syndrome, self.iterations, self.iterations)
                frames += outcome != [mine.converged, mine.iterations] or not np.array_equal(bits, mine.bits)
            levels = int(take("<i4", 1)[0])
            # numpy's hash is the matrix (1 | T): zeros leave T alone.
            alone = np.concatenate([np.zeros(ROWS, np.uint8), self.bits])
            product = np.packbits(hash_bits(alone, self.seed, ROWS, level=-1))
            wrong = sum(not np.array_equal(take("u1", -(-ROWS // 8)), product) for _ in range(levels))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError("the program's answer ends too early") from None
        return frames, wrong, levels


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Compile, run, compare.

    Raises:
        InputError: no such compiler or emulator, or the sources are not here.
    """
    frames, iterations = whole(options.frames, 1, 100, "frames"), whole(options.iterations, 1, 300, "iterations")
    task = Task.draw(frames, iterations, whole(options.seed, 0, 2**63, "as seed"))
    with tempfile.TemporaryDirectory(prefix="kronborg-") as folder:
        program = Path(folder) / "program"
        with progress.stage("compiler"):
            build(options.compiler, program)
        with progress.stage("program"):
            answer = called([*shlex.split(options.emulator), str(program)], task.written())
    with progress.stage("comparison"):
        different, wrong, levels = task.compare(answer)
    figures = {
        "code": task.code.name,
        "frames": frames,
        "iterations": iterations,
        "frames_different": different,
        "multiplications": levels,
        "multiplications_different": wrong,
        "emulator": options.emulator,
    }
    table = [
        ("byte decoder, NEON", f"{different} of {frames} frames differ from numpy after {iterations} iterations"),
        ("Toeplitz", f"{wrong} of {levels} ways to multiply differ, {grouped(ROWS)} x {grouped(COLUMNS)} bits"),
        ("run by", options.emulator or "this machine"),
    ]
    return Outcome(figures, table, "the ARM code does not say what numpy says" if different or wrong else "")


def build(compiler: str, program: Path) -> None:
    """Compile the library's sources and the runner into one program."""
    native = Path(kronborg.__file__).parent / "native"
    sources = [native / f"{name}.cpp" for name in SOURCES]
    if not all(source.exists() for source in sources):
        raise InputError("the native library's sources are not here: run this from a checkout (pip install -e .)")
    runner = Path(__file__).with_name("arm_runner.cpp")
    flags = ["-std=c++17", "-O3", "-w", f"-I{native}", "-o", str(program)]
    called([*shlex.split(compiler), *flags, *map(str, sources), str(runner)])


def called(command: list[str], given: bytes = b"") -> bytes:
    """What a command says to its standard output."""
    try:
        finished = subprocess.run(command, input=given, capture_output=True)
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run: {error.strerror}; see --compiler and --emulator") from None
    if finished.returncode:
        last = (finished.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise InputError(f"{command[0]} failed ({finished.returncode}): {last}")
    return finished.stdout
