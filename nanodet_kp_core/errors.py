"""Errors that a user can act on: each message is one sentence with what was expected, what came and what to do."""

import reprlib


class NanodetKpError(Exception):
    """Base of every error that this package raises on bad input; command-line tools print it and exit with 2."""


class ModelError(NanodetKpError):
    """A model file is missing, is no ONNX, carries no or wrong metadata, or does not fit what it says."""


class SourceError(NanodetKpError):
    """An image, folder, video or camera cannot be opened or read."""


class ImageError(NanodetKpError):
    """An image array or message is empty, truncated or of an unknown encoding."""


class ConfigError(NanodetKpError):
    """A configuration file or argument is wrong."""


class DataError(NanodetKpError):
    """A label file or data set is wrong."""


class TrainingError(NanodetKpError):
    """Training cannot go on: the loss is not finite, or a checkpoint belongs to another run."""


class _Short(reprlib.Repr):
    def repr_int(self, value: int, level: int) -> str:
        if abs(value) >= 10**20:  # Python refuses to print more than some thousand digits
            return "a number of more than 20 digits"
        return repr(value)


_short = _Short()
_short.maxlevel, _short.maxlist, _short.maxtuple = 2, 12, 12
_short.maxstring = _short.maxother = 60


def shown(value: object) -> str:
    """A value for a message: on one line, printable, and short, however long or deep what a file holds is."""
    return _short.repr(value)


def reason_of(error: Exception) -> str:
    """An error on one line: ours says all by itself, of any other the kind is worth knowing too."""
    text = " ".join(str(error).split())[:500]
    return str(error) if isinstance(error, NanodetKpError) else f"{type(error).__name__}: {text}"
