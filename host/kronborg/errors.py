"""Errors that a person can act on: one line each, and an exit code that scripts can trust."""


class KronborgError(ValueError):
    """Base of all expected failures; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(KronborgError):
    """A file, an option or metadata is wrong; the message says which and what to do."""

    exit_code = 2


class BoardError(KronborgError):
    """A board does not do what it should; the message has what its registers say."""


class ProtocolError(KronborgError):
    """The other end of the classical channel said something that does not fit; what was under way is dropped."""


class NoKeyError(KronborgError):
    """No secret key can be had from this link; the message says why and what would help."""

    exit_code = 3
