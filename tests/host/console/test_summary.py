from __future__ import annotations

import io

import pytest

from kronborg.console.summary import write_summary


@pytest.fixture
def plain(example):
    def write(**changes):
        stream = io.StringIO()
        write_summary(example.result(**changes), stream)
        return stream.getvalue()

    return write


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("symbols", "10 240 000 at 100 MBd"),
        ("frames received", "103 of 104"),
        ("modulation variance", "3.20 SNU"),
        ("fibre", "10 km, 2.00 dB"),
        ("transmittance", "0.6304, at worst 0.6251"),
        ("excess noise", "11.3 ± 2.7 mSNU (1 σ)"),
        ("excess noise, worst case", "29.8 mSNU"),
        ("excess noise, key up to", "187.4 mSNU"),
        ("electronic noise", "50.0 mSNU"),
        ("SNR per quadrature", "0.5737"),
        ("efficiency (beta)", "91.1 %"),
        ("frame error rate", "2.5 %, 2 of 80 blocks"),
        ("disclosed", "16.4 Mbit (16 384 312 bit)"),
        ("secret key", "1.27 Mbit (1 270 311 bit)"),
        ("the two ends", "identical"),
        ("per symbol", "0.12405 bit"),
        ("share of the PLOB bound", "8.6 %"),
        ("at the symbol rate", "12.4 Mbit/s"),
        ("security epsilon", "4.50e-10"),
        ("transmit and receive", "71.9 s"),
        ("whole run", "131.2 s"),
    ],
)
def test_each_figure_stands_in_its_line(plain, quantity, value):
    # Two blanks part the columns, so a quantity that is the beginning of another is not taken for it.
    lines = [line for line in plain().splitlines() if f"  {quantity}  " in line]
    assert [line.split(f"  {quantity}  ")[1].strip() for line in lines] == [value]


def test_plain_text_is_aligned_within_80_columns_without_control_characters(plain):
    text = plain(symbols=10**12, disclosed_bits=10**12)
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines())
    assert not [character for character in text if ord(character) < 32 and character != "\n"]
    assert "1 000 000 000 000 at 100 MBd" in text
    assert len({line.index(word) for line in text.splitlines() for word in ("symbols ", "fibre ") if word in line}) == 2


def test_different_keys_cannot_be_overlooked(plain):
    assert "DIFFERENT: do not use this key" in plain(keys_identical=False)


def test_square_brackets_are_not_markup(plain):
    assert "[red]reconcile[/]" in plain(stage_seconds={"[red]reconcile[/]": 1.0})


def test_a_terminal_gets_style(example):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    write_summary(example.result(), stream)
    assert "\x1b[" in stream.getvalue()
    assert "1 270 311 bit" in stream.getvalue()


def test_a_stream_that_knows_ascii_only_is_served(example):
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    write_summary(example.result(), stream)
    assert b"11.3 +/- 2.7 mSNU (1 sigma)" in buffer.getvalue()
