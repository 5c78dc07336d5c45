"""How far a command is with reading its input."""

from __future__ import annotations

import sys
import time
from typing import BinaryIO


class Progress:
    """Shows on stderr how much is read: in place on a terminal, else on a line every few seconds.

    ``total`` is the size of the whole input in bytes.
    """

    def __init__(self, total: int, quiet: bool):
        self._total, self._done = total, 0
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def read(self, size: int) -> None:
        """Count bytes that were read."""
        self._done += size
        self.say(f"Reading {self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB", often=True)

    def say(self, text: str, often: bool = False) -> None:
        """Show a text; one that comes often, only now and then."""
        now = time.monotonic()
        if self._quiet or (often and now < self._next):
            return
        self._next = now + (0.1 if self._terminal else 5)
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the text off a terminal."""
        if self._terminal and not self._quiet:
            sys.stderr.write("\r\x1b[K")


class Watched:
    """A stream that reports what is read from it."""

    def __init__(self, stream: BinaryIO, progress: Progress):
        self._stream, self._progress = stream, progress

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._progress.read(len(data))
        return data
