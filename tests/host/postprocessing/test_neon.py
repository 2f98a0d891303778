"""The library's ARM code, compiled for this machine: SIMDe says in plain C++ what each NEON instruction does.

So its arithmetic is tested everywhere. `kronborg bench arm` runs what a compiler for ARM makes of it.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import simde_py

import kronborg
from kronborg.postprocessing import privacy_amplification
from kronborg.postprocessing.reconciliation import Code, Decoder, alice_llr, bob_message, decoder
from kronborg.postprocessing.reconciliation.construct import construct
from kronborg.postprocessing.reconciliation.ensembles import Ensemble, Nodes

NATIVE = Path(kronborg.__file__).parent / "native"
COMPILERS = [name for name in ("c++",) if shutil.which(name) and platform.machine() == "x86_64"]
"""On ARM the tests of the library itself run this code."""


@pytest.fixture(scope="module", params=COMPILERS)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("neon")
    (folder / "arm_neon.h").write_text("#define SIMDE_ENABLE_NATIVE_ALIASES\n#include <simde/arm/neon.h>\n")
    command = [request.param, "-std=c++17", "-O1", "-w", "-fPIC", "-shared", "-DKRONBORG_NEON", f"-I{folder}"]
    command += [f"-I{simde_py.get_include()}", str(NATIVE / "byte_decoder.cpp"), str(NATIVE / "toeplitz.cpp")]
    subprocess.run([*command, "-o", str(folder / "neon.so")], check=True)
    return ctypes.CDLL(str(folder / "neon.so"))


def test_bytes_are_the_same_in_numpy_and_with_neon(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Converged or not; a lifting that is no multiple of a vector; rows unrolled and not; words that saturate."""
    assert library.kronborg_bytes_available(1) == 1
    assert [library.kronborg_bytes_available(other) for other in (2, 3)] == [0, 0]
    monkeypatch.setattr(decoder, "_native", lambda: library)
    monkeypatch.setattr(decoder, "native_available", lambda: True)
    monkeypatch.setattr(decoder, "instructions_available", lambda: ("neon",))
    unrolled = Ensemble((Nodes(8, 2), Nodes(17, 3)), (Nodes(2, 14), Nodes(3, 13)), 295, 175, 175, 56)
    wide = Ensemble((Nodes(20, 2), Nodes(20, 3)), (Nodes(8, 8), Nodes(4, 9)), 1010, 40, 40, 152)
    compared: set[bool] = set()
    for ensemble, snrs in ((unrolled, (0.25, 30.0)), (wide, (1.0, 0.02))):
        code = Code("small", construct(ensemble, 4), 1.0)
        for snr, stronger in (*((snr, 1) for snr in snrs), (0.3, 10_000)):
            rng = np.random.default_rng(5)
            x = rng.normal(0, np.sqrt(snr), code.length)
            bits = rng.integers(0, 2, code.length, dtype=np.uint8)
            llr = alice_llr(x, bob_message(x + rng.standard_normal(code.length), bits), 1.0, 1.0)
            llr[::5] *= stronger
            vectors, numpy = Decoder(code, True, "bytes", "neon"), Decoder(code, False, "bytes")
            syndrome = numpy.syndrome(bits)
            for iterations in (1, 3, 25):
                a, b = (each.decode(llr, syndrome, iterations, 12) for each in (vectors, numpy))
                assert (a.converged, a.iterations) == (b.converged, b.iterations)
                assert np.array_equal(a.bits, b.bits)
                compared.add(a.converged)
    assert compared == {True, False}


def test_polynomial_multiplication_is_the_same_in_numpy_and_with_pmull(
    library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy_amplification, "_library", lambda: library)
    assert privacy_amplification.native_levels() == 2
    rng = np.random.default_rng(6)
    for bits, key_bits in ((4003, 1501), (20_000, 7000)):
        block, seed = rng.integers(0, 2, bits, dtype=np.uint8), rng.bytes(privacy_amplification.seed_bytes(bits))
        portable, pmull, numpy = (
            privacy_amplification.hash_bits(block, seed, key_bits, level=level) for level in (0, 1, -1)
        )
        assert np.array_equal(portable, numpy)
        assert np.array_equal(pmull, numpy)
