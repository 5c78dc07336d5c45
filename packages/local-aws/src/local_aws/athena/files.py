"""Files of a table, copies of them that DuckDB reads, and how DuckDB is told to read them."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from local_aws.athena import formats
from local_aws.athena.errors import not_supported
from local_aws.athena.types import text

# A file of whole lines: a separator that no text has, and no quotes.
LINES = "auto_detect=false, header=false, delim='\x01\x02\x03', quote='', escape=''"
# The longest line or JSON value. DuckDB's buffers grow with it, whatever the files' sizes.
LONGEST = 16 << 20
# Bytes that are searched at once.
BLOCK = 8 << 20
_blank: dict[tuple[int, ...], bool] = {}


@dataclass
class File:
    """A file of a table: `path` here, `url` on S3."""

    path: str
    url: str
    size: int
    # How a quote inside quotes is written (CSV).
    escape: str | None = None

    @property
    def compression(self) -> str:
        """What the extension says: https://docs.aws.amazon.com/athena/latest/ug/compression-formats.html"""
        name = self.url.rsplit("/", 1)[-1].lower()
        if name.endswith(".lzo"):
            raise not_supported(f"Reading {self.url} (compression)")
        return next(
            (codec for ending, codec in formats.EXTENSIONS.items() if name.endswith(ending)), "uncompressed"
        )

    @property
    def longest(self) -> int:
        """More bytes of text than the file can hold in one line."""
        return self.size if self.compression == "uncompressed" else self.size * 50


@dataclass
class Rewritten(File):
    """A copy in a form that DuckDB reads; `size` is the original's."""

    @property
    def compression(self) -> str:
        return "uncompressed"

    @property
    def longest(self) -> int:
        return Path(self.path).stat().st_size


@dataclass
class Renamed(Rewritten):
    """JSON whose keys are the names of the table's fields."""


@dataclass
class Quoted(Rewritten):
    """Text of whose lines DuckDB's CSV reader could not make the same fields, as plain CSV."""


def body_of(path: str | Path) -> tuple[int, ...]:
    """What a body is known by before and after it becomes an object: a rename changes none of it."""
    found = os.stat(path)  # noqa: PTH116 - paths of bodies are text
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def open_bytes(f: File) -> Any:
    """A file's content, decompressed."""
    return pa.input_stream(f.path, compression=None if f.compression == "uncompressed" else f.compression)


def open_text(f: File) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_bytes(f), "utf-8", newline="\n")


def has_blank_lines(f: File) -> bool:
    """Whether a text has a line without a character, which DuckDB would leave out."""
    body = body_of(f.path)
    if body not in _blank:
        found, last = False, b"\n"
        with open_bytes(f) as stream:
            while not found and (block := stream.read(BLOCK)):
                joined = last + block
                found = b"\n\n" in joined or b"\n\r\n" in joined
                last = joined[-2:]
        if len(_blank) > 100_000:
            _blank.clear()
        _blank[body] = found
    return _blank[body]


def paths(files: list[File]) -> str:
    return "[" + ", ".join(text(f.path) for f in files) + "]"


def by_compression(files: list[File]) -> list[tuple[str, list[File]]]:
    groups: dict[str, list[File]] = {}
    for f in files:
        groups.setdefault(f.compression, []).append(f)
    return list(groups.items())


def longest_line(files: list[File]) -> int:
    """The longest line that these files can have, up to LONGEST."""
    return min(LONGEST, max(1 << 16, *(f.longest for f in files)))


def buffers(files: list[File]) -> str:
    longest = longest_line(files)
    return f"max_line_size={longest}, buffer_size={2 * longest}"
