"""Files of JSON values in the shapes in which people upload them."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

_BUFFER_BYTES = 1 << 20


class Shape(StrEnum):
    """How the values of a file are strung together."""

    LINES = "lines"
    LINES_CRLF = "lines_crlf"
    LINES_BOM = "lines_bom"
    LINES_UNTERMINATED = "lines_unterminated"
    ARRAY = "array"
    ARRAY_OF_LINES = "array_of_lines"
    ARRAY_PRETTY = "array_pretty"
    CONCATENATED = "concatenated"
    CONCATENATED_PRETTY = "concatenated_pretty"

    @property
    def is_lines(self) -> bool:
        """One value a line: what is wrong in one line leaves the others readable."""
        return self.name.startswith("LINES")


_PRETTY = frozenset({Shape.ARRAY_PRETTY, Shape.CONCATENATED_PRETTY})
# What stands before the first value, between two, and after the last one.
_PUNCTUATION = {
    Shape.LINES: (b"", b"\n", b"\n"),
    Shape.LINES_CRLF: (b"", b"\r\n", b"\r\n"),
    Shape.LINES_BOM: (b"\xef\xbb\xbf", b"\n", b"\n"),
    Shape.LINES_UNTERMINATED: (b"", b"\n", b""),
    Shape.ARRAY: (b"[", b", ", b"]"),
    Shape.ARRAY_OF_LINES: (b"[\n", b",\n", b"\n]\n"),
    Shape.ARRAY_PRETTY: (b"[\n  ", b",\n  ", b"\n]\n"),
    Shape.CONCATENATED: (b"", b"", b""),
    Shape.CONCATENATED_PRETTY: (b"", b"\n", b"\n"),
}


class ValueWriter:
    """Writes JSON values into one file (gzipped if its name ends so), which begins with the first of them.

    ``line_number`` and ``record_number`` (1-based) say where the value written last starts,
    ``content_bytes`` how much was written, uncompressed.
    """

    def __init__(self, path: Path, shape: Shape):
        self.path = path
        self.shape = shape
        self.record_number = 0
        self.line_number = 0
        self.content_bytes = 0
        self._line_ends = 0
        self._before, self._between, self._after = _PUNCTUATION[shape]
        self._indent = b"\n  " if shape is Shape.ARRAY_PRETTY else b"\n"
        self._closing = ExitStack()
        self._file: BinaryIO | None = None

    @property
    def written(self) -> bool:
        """Whether anything was, so that there is a file."""
        return self._file is not None

    def value(self, text: str) -> None:
        """Write one JSON value, given as text without line breaks."""
        if self.shape in _PRETTY:
            data = json.dumps(json.loads(text), indent=2, ensure_ascii=False).encode()
            self.raw(data.replace(b"\n", self._indent), data.count(b"\n"))
        else:
            self.raw(text.encode())

    def raw(self, data: bytes, line_ends: int = 0) -> None:
        """Write the bytes of one value, or of a line that is none; ``line_ends`` is how many are in it."""
        file = self._separate()
        self.record_number += 1
        self.line_number = self._line_ends + 1
        file.write(data)
        self.content_bytes += len(data)
        self._line_ends += line_ends

    def blank(self, white_space: bytes) -> None:
        """Write a line of white space only; in files of lines."""
        file = self._separate()
        file.write(white_space)
        self.content_bytes += len(white_space)

    def close(self, *, unterminated: bool = False) -> None:
        """End the file; with ``unterminated``, without what usually follows the last value."""
        if self._file is not None and not unterminated:
            self._file.write(self._after)
            self.content_bytes += len(self._after)
        self._closing.close()

    def _separate(self) -> BinaryIO:
        if self._file is None:
            self._file = self._closing.enter_context(_open(self.path))
            punctuation = self._before
        else:
            punctuation = self._between
        self._file.write(punctuation)
        self.content_bytes += len(punctuation)
        self._line_ends += punctuation.count(b"\n")
        return self._file


class _Gzip(io.BufferedWriter):
    """A gzip file without name and time in its header, so that the same content gives the same bytes."""

    def __init__(self, path: Path):
        self._plain = path.open("wb")
        packed = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=self._plain, mtime=0)
        super().__init__(cast(io.RawIOBase, packed), _BUFFER_BYTES)

    def close(self) -> None:
        super().close()
        self._plain.close()


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        return cast(BinaryIO, _Gzip(path))
    return path.open("wb", buffering=_BUFFER_BYTES)


def write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Write terminated lines into one file (gzipped if its name ends so); returns their bytes, uncompressed."""
    size = 0
    with _open(path) as file:
        for line in lines:
            file.write(line)
            size += len(line)
    return size


def write_bytes(path: Path, content: bytes, *, packed: bool = False) -> None:
    """Write a whole small file; ``packed`` gzips the content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)


def require_empty(folder: Path, names: Sequence[str]) -> None:
    """Raise ValueError if ``folder`` holds a file that is not one of ``names`` (paths below it).

    Files of an earlier run are replaced; anything else would be uploaded along with them unnoticed.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; uploads are written into a folder: choose another --out")
    ours = set(names)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in ours:
            raise ValueError(
                f"{path} was not written by this call, and would be uploaded with what it writes: "
                f"remove it, or choose an empty folder for --out"
            )


def set_time(path: Path, seconds: int) -> None:
    """Set a file's modification time, in seconds since 1970 (UTC); the order of times is that of upload."""
    os.utime(path, (seconds, seconds))
