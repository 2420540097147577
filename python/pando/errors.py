"""Errors of Pando as exceptions, with the text that the Swift library gives them."""

from __future__ import annotations


class PandoError(Exception):
    """What went wrong, where, what was found and expected, and what to do; `str()` is all of it on one line."""

    #: The kind of failure, as Swift names it: `options`, `damaged`, `notADataset`, ...
    code: str
    #: The file as it was named.
    file: str
    #: Where in the file: a record batch, a column, an option.
    place: str
    #: What was found and what was expected.
    message: str
    #: What to do now, in one sentence.
    advice: str | None

    def __init__(
        self, text: str, code: str = "", file: str = "", place: str = "", message: str = "", advice: str | None = None
    ) -> None:
        super().__init__(text)
        self.code, self.file, self.place, self.message, self.advice = code, file, place, message or text, advice

    def __reduce__(self) -> tuple[type[PandoError], tuple[str, str, str, str, str, str | None]]:
        return type(self), (str(self), self.code, self.file, self.place, self.message, self.advice)


class DatasetError(PandoError):
    """A dataset that is none, is damaged, or does not hold what was asked for."""


class LoaderError(PandoError):
    """Options, features, ranks or states of a loader that cannot be, or data that it cannot read."""


class FormatError(PandoError):
    """Bytes of a shard that are not what the format says."""


class FileError(PandoError):
    """A system call on a file that failed."""


class ConvertError(PandoError):
    """A conversion that failed or was stopped; the same call goes on where it was stopped."""


class ForkError(PandoError):
    """Something that does not survive a fork was used in the child."""


_TYPES: dict[str, type[PandoError]] = {
    "DatasetError": DatasetError,
    "LoaderError": LoaderError,
    "ArrowError": FormatError,
    "PlacedError<SystemFailure>": FileError,
}


def error_of(details: dict[str, object]) -> PandoError:
    """The exception for what the library left in its slot."""
    advice = details.get("advice")
    return _TYPES.get(str(details.get("type")), PandoError)(
        str(details.get("text", "")),
        str(details.get("code", "")),
        str(details.get("file", "")),
        str(details.get("place", "")),
        str(details.get("message", "")),
        None if advice is None else str(advice),
    )
