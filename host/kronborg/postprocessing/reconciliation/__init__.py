"""Reverse reconciliation: Alice corrects her quadratures to Bob's, with an eight-dimensional map and LDPC codes."""

from .codes import Code, available_codes, choose_code, code_named
from .decoder import Decoded, Decoder
from .multidimensional import alice_llr, bob_message, bob_quadratures
from .native import native_available

__all__ = [
    "Code",
    "Decoded",
    "Decoder",
    "alice_llr",
    "available_codes",
    "bob_message",
    "bob_quadratures",
    "choose_code",
    "code_named",
    "native_available",
]
