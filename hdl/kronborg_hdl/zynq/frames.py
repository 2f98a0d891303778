"""Features to configuration frames, and frames to features: what a design is, and what its bits say that it is.

A feature is a line of FASM, the FPGA assembly that nextpnr writes: ``TILE.FEATURE``, or ``TILE.FEATURE[63:0] = 64'b…``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from .database import WORD_BITS, WORDS, Bit, Database, Features, Place

Frames = dict[int, list[int]]
"""Words of each frame that has a bit, by its address."""
_LINE = re.compile(
    r"(?P<tile>[^.\s]+)\.(?P<name>[^\[\s=]+)(\[(?P<high>\d+)(:(?P<low>\d+))?\])?"
    r"(\s*=\s*((?P<width>\d+)')?(?P<base>[bdh])?(?P<value>[0-9a-fA-F_]+))?"
)
_RADIX = {"b": 2, "d": 10, "h": 16, None: 10}
_ECC_WORD = WORDS // 2
_ECC_BITS = 13


def flat(text: str) -> Iterator[tuple[str, str, int]]:
    """Tile, name and index of each feature that lines of FASM set, a feature for each bit that is one.

    Raises:
        ValueError: a line that is none.
    """
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.partition("#")[0].partition("{")[0].strip()
        if not stripped:
            continue
        match = _LINE.fullmatch(stripped)
        if not match:
            raise ValueError(f"line {number} is no feature: {stripped!r}")
        low = int(match["low"] or match["high"] or 0)
        value = int(match["value"].replace("_", ""), _RADIX[match["base"]]) if match["value"] else 1
        while value:
            bit = (value & -value).bit_length() - 1
            yield match["tile"], match["name"], low + bit
            value &= value - 1


def assemble(features: Iterable[tuple[str, str, int]], database: Database) -> Frames:
    """The frames of these features, their error-correcting words among them.

    Raises:
        ValueError: features that the device does not have, or that contradict each other.
    """
    wanted: dict[tuple[int, int], bool] = {}
    unknown = []
    for tile, name, index in features:
        found = _bits(database, tile, name, index)
        if found is None:
            unknown.append(f"{tile}.{name}[{index}]")
            continue
        for frame, number, is_set in found:
            if wanted.setdefault((frame, number), is_set) != is_set:
                raise ValueError(f"{tile}.{name}[{index}] contradicts another feature in frame {frame:#010x}")
    if unknown:
        more = f" and {len(unknown) - 1} others" if len(unknown) > 1 else ""
        raise ValueError(f"the bit database of {database.part} has no {unknown[0]}{more}")
    frames: Frames = {}
    for (frame, number), is_set in wanted.items():
        if is_set:
            frames.setdefault(frame, [0] * WORDS)[number // WORD_BITS] |= 1 << number % WORD_BITS
    for words in frames.values():
        correct(words)
    return frames


def _bits(database: Database, tile: str, name: str, index: int) -> list[tuple[int, int, bool]] | None:
    """Frame, number and value of each bit of a feature; None if there is no such feature."""
    there = database.tiles.get(tile)
    if there is None:
        return None
    if f"{there.type}.{name}" in database.without_bits(there.type):
        return []
    for bus, place in there.places.items():
        site, _, rest = name.partition(".")
        said = f"{place.type}.{dict(place.sites).get(site, site)}{'.' * bool(rest)}{rest}"
        bits = database.features(place.type, bus).get(said, {}).get(index)
        if bits is not None and all(_is_own(place, bit) for bit in bits):
            return [(place.frame + bit.frame, place.bit + bit.number, bit.is_set) for bit in bits]
    return None


def correct(words: list[int]) -> None:
    """Write a frame's error-correcting code into its middle word.

    Every bit of the frame has a number; the code is the exclusive-or of the numbers of the bits that are one, and a
    parity of these. Numbers that are powers of two are left out, for they are those of the code's own bits (UG470,
    Frame ECC Logic, says so much; the numbering is that of Project X-Ray).
    """
    words[_ECC_WORD] &= ~((1 << _ECC_BITS) - 1)
    code = 0
    for place, word in enumerate(words):
        first = place * WORD_BITS + (0x1320 if place <= 0x6 else 0x1340 if place <= 0x25 else 0x1360)
        while word:
            code ^= first + (word & -word).bit_length() - 1
            word &= word - 1
    parity = (code & 0xFFF).bit_count() & 1
    words[_ECC_WORD] |= (code ^ parity << (_ECC_BITS - 1)) & ((1 << _ECC_BITS) - 1)


def disassemble(frames: Frames, database: Database) -> set[tuple[str, str, int]]:
    """All features whose bits are as they should be in these frames, of tiles that have a bit at all.

    A feature whose bits are a part of another's is there too: :func:`assemble` of them gives the same frames.
    """
    ones: dict[int, set[int]] = {}
    for frame, words in frames.items():
        ones[frame] = {
            place * WORD_BITS + bit
            for place, word in enumerate(words)
            if word
            for bit in range(WORD_BITS)
            if word >> bit & 1
        }
    found = set()
    indices: dict[int, dict[tuple[int, int], list[tuple[str, int, tuple[Bit, ...]]]]] = {}
    for tile, there in database.tiles.items():
        for bus, place in there.places.items():
            features = database.features(place.type, bus)
            if id(features) not in indices:
                indices[id(features)] = _by_first(features)
            for name, index in _seen(indices[id(features)], place, ones):
                site, dot, last = name.partition(".")[2].partition(".")
                back = {inner: outer for outer, inner in place.sites}
                found.add((tile, f"{back.get(site, site)}{dot}{last}", index))
    return found


def _is_own(place: Place, bit: Bit) -> bool:
    """Whether a tile has this bit of its type: one at the rim, that is described by a whole one, has half of them."""
    return place.own[0] <= place.bit + bit.number < place.own[1]


def _by_first(features: Features) -> dict[tuple[int, int], list[tuple[str, int, tuple[Bit, ...]]]]:
    """Features by the first bit that they have."""
    index: dict[tuple[int, int], list[tuple[str, int, tuple[Bit, ...]]]] = defaultdict(list)
    for name, numbers in features.items():
        for number, bits in numbers.items():
            first = next((bit for bit in bits if bit.is_set), None)
            if first is not None:
                index[first.frame, first.number].append((name, number, bits))
    return index


def _seen(
    index: dict[tuple[int, int], list[tuple[str, int, tuple[Bit, ...]]]], place: Place, ones: dict[int, set[int]]
) -> Iterator[tuple[str, int]]:
    """Features of one tile that frames have."""
    none: set[int] = set()
    for (frame, number), features in index.items():
        if place.bit + number in ones.get(place.frame + frame, none):
            for name, which, bits in features:
                if all(
                    _is_own(place, bit)
                    and (place.bit + bit.number in ones.get(place.frame + bit.frame, none)) == bit.is_set
                    for bit in bits
                ):
                    yield name, which
