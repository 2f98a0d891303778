"""What Alice and Bob say to each other over the classical channel. Public: an eavesdropper reads every one.

Bob leads, since the keys are his symbols (reverse reconciliation): each of his messages has one answer from Alice.
The channel must be authenticated: two ends in one process need nothing for that, two processes have `link.channel`,
which sends these messages as `link.wire` writes them. Greetings, `Emit`, `Refused` and `Goodbye` are said there alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AliceHello:
    """The first message of Alice's on a connection.

    Attributes:
        link: the link's name, the same at both ends.
        nonce: 16 random bytes: Bob's later messages are signed together with it.
        last_block: number of her last key block that is ready.
        next_frame: the first frame number that she has not used.
        modulation_variance_snu: V_A, per quadrature.
        snu_per_word: sqrt(SNU) at the channel's input that one unit of her words stands for.
    """

    link: str
    nonce: bytes
    last_block: int
    next_frame: int
    modulation_variance_snu: float
    snu_per_word: float


@dataclass(frozen=True)
class BobHello:
    """The first message of Bob's on a connection; see AliceHello. What he has not stored, Alice voids."""

    link: str
    nonce: bytes
    last_block: int
    next_frame: int


@dataclass(frozen=True)
class Emit:
    """Bob asks for the light of frames `first` to `first` + `count` - 1. No frame is used twice, by whichever run."""

    first: int
    count: int


@dataclass(frozen=True)
class FramesReceived:
    """Bob found these frames; both drop all others, in this order.

    Attributes:
        frames: their numbers.
        last_block: number of the last key block that Bob has stored: what Alice stored beyond it never reached him.
    """

    frames: tuple[int, ...]
    last_block: int


@dataclass(frozen=True)
class EstimationRequest:
    """Bob asks for Alice's symbols at `count` positions that follow from a seed drawn after the frames had arrived."""

    seed: bytes
    count: int


@dataclass(frozen=True)
class EstimationSymbols:
    """Alice's words at those positions, int16, shape (count, 2), in ascending order of position."""

    words: NDArray[np.int16]


@dataclass(frozen=True)
class CodeChoice:
    """Bob names the code and his estimate of the channel between her symbols and his dithered ones.

    Attributes:
        code: name of the code; of slices, `slices/` and the number of letters.
        gain: Bob's quadrature is `gain` times Alice's plus noise, both in sqrt(SNU).
        noise_variance_snu: variance of that noise.
    """

    code: str
    gain: float
    noise_variance_snu: float


@dataclass(frozen=True)
class CodeBlock:
    """One block to correct: the multidimensional message (float32, shape (n / 8, 8)) and the syndrome (packed bits)."""

    index: int
    message: NDArray[np.float32]
    syndrome: bytes


@dataclass(frozen=True)
class SliceBlock:
    """One block of slices to correct.

    Attributes:
        index: its number.
        low_bits: the lowest four bits of Bob's integers, one byte a symbol: the first quadrature's in the upper half.
        syndromes: of the corrected levels, the lowest first (packed bits, without gaps between levels).
    """

    index: int
    low_bits: bytes
    syndromes: bytes


@dataclass(frozen=True)
class Decoded:
    """Alice's decoder did, or did not, find a word with that syndrome."""

    index: int
    converged: bool


@dataclass(frozen=True)
class Verify:
    """Bob's universal hash of a block under a fresh public key."""

    index: int
    hash_key: bytes
    tag: bytes


@dataclass(frozen=True)
class Verified:
    """Whether Alice's block has the same hash."""

    index: int
    equal: bool


@dataclass(frozen=True)
class Reveal:
    """Bob's bits of a block that is lost: no key comes of it, but the channel is estimated from it as well.

    Attributes:
        index: the block's number.
        bits: packed; of slices, what is above the low bits, one signed byte a quadrature.
    """

    index: int
    bits: bytes


@dataclass(frozen=True)
class SumsRequest:
    """Bob asks for the sums over all blocks that were verified or revealed."""


@dataclass(frozen=True)
class Sums:
    """Sums over Alice's quadratures x and Bob's y, which she knows of those blocks, in sqrt(SNU); see `Moments`."""

    pairs: int
    xx: float
    xy: float
    yy: float


@dataclass(frozen=True)
class Amplify:
    """Hash these blocks, in order, to `key_bits` bits with this seed (packed bits), and keep the key, pending.

    The first `pool_bits` of the key go to the pool of authentication keys, the others to the store.
    """

    sequence: int
    blocks: tuple[int, ...]
    seed: bytes
    key_bits: int
    pool_bits: int
    epsilon: float


@dataclass(frozen=True)
class Stored:
    """Bob has stored key block `sequence`; Alice's is ready."""

    sequence: int


@dataclass(frozen=True)
class Done:
    """Acknowledged and carried out."""


@dataclass(frozen=True)
class Refused:
    """Alice does not carry the last message out; what is under way is dropped."""

    reason: str


@dataclass(frozen=True)
class Goodbye:
    """Bob has all that he wants; Alice may go."""


Message = (
    AliceHello
    | BobHello
    | Emit
    | FramesReceived
    | EstimationRequest
    | EstimationSymbols
    | CodeChoice
    | CodeBlock
    | SliceBlock
    | Decoded
    | Verify
    | Verified
    | Reveal
    | SumsRequest
    | Sums
    | Amplify
    | Stored
    | Done
    | Refused
    | Goodbye
)
