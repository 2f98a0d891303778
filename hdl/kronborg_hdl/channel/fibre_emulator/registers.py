"""Registers of the fibre emulator.

The host writes the seed, word by word (``generator_model.seed_words``), which stops the emulator and lets it begin
anew; then the settings, and CONTROL.apply. Settings may be written and applied again at any time: the phase goes on,
and of the noise what is already made keeps its scale.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from ...dsp.nco import PHASE_BITS
from ...modulation.gaussian.tables import DEVIATION_BITS
from .model import AMPLITUDE_BITS, NOISE_SCALE

COUNTER_BITS = 32

REGISTERS = RegisterMap(
    "fibre_emulator",
    (
        *head(
            "KBFE",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("generators", 8, 8, Access.READ, "Generators of noise, each with eight words of the seed."),
                Field("complex_output", 16, 1, Access.READ, "Samples that come out have I and Q."),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use the settings as written, and let samples in."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),
                Field("loaded", 8, 1, Access.READ, "Applied since reset and since the seed; if not, none is taken."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A sample did not fit and was clipped."),
                Field("noise_clipped", 1, 1, Access.STICKY, "A word of noise was beyond 2**15 of its steps: clipped."),
                Field("noise_refused", 2, 1, Access.STICKY, "NOISE is neither 0 nor in range: no sample is taken."),
            ),
        ),
        Register(
            "amplitude",
            0x14,
            "Loss and the detector's gain: what a word that goes in is multiplied by.",
            (Field("word", 0, AMPLITUDE_BITS, Access.READ_WRITE, "Zero: dark.", scale=2.0**-AMPLITUDE_BITS),),
        ),
        Register(
            "frequency",
            0x18,
            "The lasers' beat; a negative one modulo a turn.",
            (
                Field(
                    "word",
                    0,
                    PHASE_BITS,
                    Access.READ_WRITE,
                    "Phase increment per sample.",
                    unit="turn",
                    scale=2.0**-PHASE_BITS,
                ),
            ),
        ),
        Register(
            "walk",
            0x1C,
            "The lasers' linewidth: sqrt(linewidth / (2 pi LANES f_sample)).",
            (
                Field(
                    "step",
                    0,
                    PHASE_BITS,
                    Access.READ_WRITE,
                    "Added to each sample's phase increment, or taken away, for a clock.",
                    unit="turn",
                    scale=2.0**-PHASE_BITS,
                ),
            ),
        ),
        Register(
            "noise",
            0x20,
            "Standard deviation of the noise, of each rail.",
            (
                Field(
                    "deviation",
                    0,
                    DEVIATION_BITS,
                    Access.READ_WRITE,
                    "32 to 2730.56 words, or 0 for none.",
                    unit="word",
                    scale=NOISE_SCALE,
                ),
            ),
        ),
        Register(
            "seed",
            0x24,
            "Of the generators: the walk's four words, then eight for each of the noise. A write stops the emulator.",
            (Field("word", 0, 32, Access.WRITE_ONLY, "Handed on from word to word; the first written goes furthest."),),
        ),
        Register(
            "saturations",
            0x28,
            "Counter; stays at its largest value.",
            (Field("count", 0, COUNTER_BITS, Access.READ, "Words that were clipped (I and Q each).", unit="word"),),
        ),
    ),
)
