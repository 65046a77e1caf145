"""Which reader the settings ask for: one in this process, or one on a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from cheques.settings import Settings
from reader.gpu_lock import card_here
from reader.reading import Reader, ReaderError
from reader.turning import TurningReader


def open_reader(settings: Settings) -> Reader:
    """The reader that the settings ask for. Raises ReaderError where its model or server cannot be used."""
    if settings.reader_url:
        from reader.remote.remote_reader import RemoteReader

        return TurningReader(RemoteReader(settings))
    try:
        from reader.local.local_reader import LocalReader  # imports torch, which a remote reader does without
    except ModuleNotFoundError as error:
        raise ReaderError(
            f"reading in this process needs {error.name}: install chequemate[local], or set CHEQUEMATE_READER_URL"
        ) from None

    return TurningReader(LocalReader(settings))


@contextmanager
def reader_here(settings: Settings) -> Iterator[Reader]:
    """A reader of this process, on the card if there is one; closed before the card is given back.

    Not inside `borrowed` or `card_here`, which hold the card already. Raises ReaderError, CardBusy.
    """
    with card_here(settings), closing(open_reader(settings)) as reader:
        yield reader
