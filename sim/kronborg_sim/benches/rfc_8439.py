"""RFC 8439's test vectors of the ChaCha20 block function, and the function itself in Python's integers."""

from __future__ import annotations

RFC_8439 = [
    # Key, nonce, counter, serialised block: 2.3.2, then A.1, test vectors 1 to 5.
    (
        bytes(range(32)),
        bytes.fromhex("000000090000004a00000000"),
        1,
        bytes.fromhex(
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
        ),
    ),
    (
        bytes(32),
        bytes(12),
        0,
        bytes.fromhex(
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        ),
    ),
    (
        bytes(32),
        bytes(12),
        1,
        bytes.fromhex(
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
            "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
        ),
    ),
    (
        bytes(31) + b"\x01",
        bytes(12),
        1,
        bytes.fromhex(
            "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
            "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"
        ),
    ),
    (
        b"\x00\xff" + bytes(30),
        bytes(12),
        2,
        bytes.fromhex(
            "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
            "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"
        ),
    ),
    (
        bytes(32),
        bytes(11) + b"\x02",
        0,
        bytes.fromhex(
            "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
            "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"
        ),
    ),
]


def block_in_integers(key: bytes, nonce: bytes, counter: int) -> bytes:
    """The block function of RFC 8439, 2.3, in Python's integers, written from its text and not from the model."""

    def rotated(word: int, bits: int) -> int:
        return (word << bits | word >> (32 - bits)) & 0xFFFFFFFF

    def quarter_round(s: list[int], a: int, b: int, c: int, d: int) -> None:
        s[a] = (s[a] + s[b]) % 2**32
        s[d] = rotated(s[d] ^ s[a], 16)
        s[c] = (s[c] + s[d]) % 2**32
        s[b] = rotated(s[b] ^ s[c], 12)
        s[a] = (s[a] + s[b]) % 2**32
        s[d] = rotated(s[d] ^ s[a], 8)
        s[c] = (s[c] + s[d]) % 2**32
        s[b] = rotated(s[b] ^ s[c], 7)

    text = b"expand 32-byte k" + key + counter.to_bytes(4, "little") + nonce
    initial = [int.from_bytes(text[at : at + 4], "little") for at in range(0, 64, 4)]
    state = list(initial)
    for _ in range(10):
        for n in range(4):
            quarter_round(state, n, 4 + n, 8 + n, 12 + n)
        for n in range(4):
            quarter_round(state, n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4)
    return b"".join(((a + b) % 2**32).to_bytes(4, "little") for a, b in zip(state, initial, strict=True))
