"""Streams of records out of any accepted upload, in constant memory.

An upload is NDJSON, one JSON array, or concatenated (possibly pretty-printed) JSON values, plain or
gzipped. Every non-blank piece of it comes out as exactly one item, a record or a malformed piece, so
that whoever counts the items has accounted for the whole file. No bytes make the reader fail, except
compressed ones that do not decompress (:class:`UnreadableUpload`).

How a file is read follows from its first good value:

* complete on its line: **lines**. A line that is not a value stands alone, so that a truncated one
  never swallows its good neighbours. Only a line that is the beginning of a value, and is not followed
  by a complete object, is tried together with the lines after it. Several objects on a line are split.
* over several lines: **documents**, one value after the other, wherever the lines end.
* a ``[`` that more than its own complete line follows or that ends the file: **an array**, whose
  elements are the records.

In documents and arrays the extent of a bad value is found by the balance of its brackets, so that a
trailing comma or a NaN in one record does not harm the next; an end that never comes costs no more than
up to the next line that begins like a record.
"""

from __future__ import annotations

import io
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import BinaryIO, Generic, NamedTuple, TypeVar

import msgspec

try:  # Decompresses about three times as fast; the image of MWAA does not have it.
    from isal import isal_zlib as _inflate
except ImportError:
    _inflate = zlib

T = TypeVar("T")

MAX_RECORD_BYTES = 16 * 1024**2
#: How much is kept of the text of a record that is longer than that.
KEPT_BYTES = 64 * 1024
#: RFC 8259, section 9, lets a parser limit nesting. A fixed limit, far below the interpreter's own, makes
#: the verdict on a line independent of how deep the caller's stack is.
MAX_DEPTH = 400

_BUFFER = 256 * 1024
_BOM = b"\xef\xbb\xbf"
# JSON cannot begin with these bytes (RFC 1952, section 2.3.1: ID1, ID2, CM = deflate).
_GZIP = b"\x1f\x8b\x08"
# How many bytes may be looked at in vain, ahead of what was read: keeps any input linear in time.
_PATIENCE = 64 * 1024**2

_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+'
_TOKEN = re.compile(rb"[\[\]{}]|" + _STRING + rb'("?)')
_BLANK = re.compile(rb"(?:\s|" + _BOM + rb")*+")
_SEPARATORS = re.compile(rb"(?:[\s,]|" + _BOM + rb")*+")
_IN_STRING = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
_JUNK_IN_LINE = re.compile(rb"[^\n\[{]*+")
_JUNK_IN_ARRAY = re.compile(rb'(?:[^"\[\]{,]|' + _STRING + rb'"?)*+')


def _nested(depth: int) -> bytes:
    """A pattern for one bracketed value of at most this depth, brackets of either kind."""
    inner = rb'[^"\[\]{}]++|' + _STRING + rb'"'
    for _ in range(depth):
        inner = rb'[^"\[\]{}]++|' + _STRING + rb'"|[{\[](?:' + inner + rb")*+[}\]]"
    return rb"[{\[](?:" + inner + rb")*+[}\]]"


# One call for the values that really occur (facility records nest three deep); others take the tokens.
_SHALLOW = re.compile(_nested(5))

_syntax = msgspec.json.Decoder(msgspec.Raw).decode


class Unreadable(StrEnum):
    """Why an upload cannot be read at all."""

    CORRUPT_GZIP = "corrupt_gzip"
    GZIP_BOMB = "gzip_bomb"


class UnreadableUpload(Exception):
    """The upload cannot be read to its end; nothing of it may be used. ``reason`` is for counting."""

    def __init__(self, reason: Unreadable, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason.value
        self.detail = detail


class Limits(NamedTuple):
    """Bounds on what an upload may cost, in bytes.

    A gzip may decompress to at most ``total_bytes``, and beyond ``ratio_from_bytes`` to at most
    ``ratio`` times its own size (deflate ends near 1,030; facility records reach about 10).
    """

    record_bytes: int = MAX_RECORD_BYTES
    total_bytes: int = 20 * 1024**3
    ratio: int = 1000
    ratio_from_bytes: int = 1024**3


DEFAULT_LIMITS = Limits()


class Malformed(NamedTuple):
    """In place of a value: this piece is none, for a reason that its kept text may not show."""

    note: str


# --- bytes -----------------------------------------------------------------------------------------


class _Raw(io.RawIOBase):
    """The upload's bytes as they come; ``bytes_read`` counts them."""

    def __init__(self, stream: BinaryIO, head: bytes):
        self._stream, self._head = stream, head
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def _take(self, size: int) -> bytes:
        chunk = self._head or self._stream.read(size)
        self._head = b""
        self.bytes_read += len(chunk)
        return chunk

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = len(buffer)
        chunk = self._head[:size] or self._stream.read(size)
        self._head = self._head[size:]
        self.bytes_read += len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Gunzip(_Raw):
    """Decompressed bytes of a gzip of any number of members (RFC 1952), zero-padded or not."""

    def __init__(self, stream: BinaryIO, head: bytes, limits: Limits):
        super().__init__(stream, head)
        self._limits = limits
        self._member = _inflate.decompressobj(wbits=31)
        self._input = b""
        self._begun = False
        self._total = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._member.eof:
                if not self._next_member():
                    return 0
            elif not self._input:
                self._input = self._take(_BUFFER)
                if not self._input and not self._ends_in_flight():
                    raise UnreadableUpload(Unreadable.CORRUPT_GZIP, "the file ends inside its compressed data")
            try:
                chunk = self._member.decompress(self._input, len(buffer))
            except (zlib.error, _inflate.error) as error:
                raise UnreadableUpload(
                    Unreadable.CORRUPT_GZIP,
                    f"not gzip, or damaged, within the first {self.bytes_read:,} bytes ({error})",
                ) from error
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if chunk:
                self._total += len(chunk)
                self._check_size()
                buffer[: len(chunk)] = chunk
                return len(chunk)

    def _ends_in_flight(self) -> bool:
        # zlib may hold back output that did not fit although it has taken all the input.
        return bool(self._member.unconsumed_tail)

    def _next_member(self) -> bool:
        while not (rest := self._input.lstrip(b"\0")):
            self._input = self._take(_BUFFER)
            if not self._input:
                return False
        self._input = rest
        self._member = _inflate.decompressobj(wbits=31)
        return True

    def _check_size(self) -> None:
        limits = self._limits
        if self._total > limits.total_bytes:
            raise UnreadableUpload(
                Unreadable.GZIP_BOMB, f"it decompresses to more than {limits.total_bytes:,} bytes"
            )
        if self._total > limits.ratio_from_bytes and self._total > limits.ratio * self.bytes_read:
            raise UnreadableUpload(
                Unreadable.GZIP_BOMB,
                f"{self.bytes_read:,} bytes decompress to more than {self._total:,}, over {limits.ratio} times",
            )


class Content(io.BufferedReader):
    """An upload's decompressed bytes as a buffered stream."""

    def __init__(self, raw: _Raw):
        super().__init__(raw, _BUFFER)
        self._source = raw

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the upload so far, compressed ones where it is compressed."""
        return self._source.bytes_read


def open_content(stream: BinaryIO, name: str, limits: Limits = DEFAULT_LIMITS) -> Content:
    """The content of an upload; gzip if its name ends in ``.gz`` or its first bytes say so.

    Iterating gives its lines. Nothing that is JSON begins like a gzip, so a gzip under a plain name is
    read as what it is.

    Raises:
        UnreadableUpload: now or while reading, if compressed data is damaged or a bomb.
    """
    head = b""
    while len(head) < len(_GZIP) and (chunk := stream.read(_BUFFER)):
        head += chunk
    if name.lower().endswith(".gz") or head.startswith(_GZIP):
        return Content(_Gunzip(stream, head, limits))
    return Content(_Raw(stream, head))


# --- values ----------------------------------------------------------------------------------------


def is_value(text: bytes) -> bool:
    """Whether the text is one JSON value of sensible depth (UTF-8 inside strings is not looked at)."""
    try:
        _syntax(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return not is_too_deep(text)


def is_too_deep(text: bytes) -> bool:
    """Whether brackets nest deeper than :data:`MAX_DEPTH`."""
    if len(text) <= MAX_DEPTH or text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif first in b"}]":
            depth -= 1
    return False


class _Extent(NamedTuple):
    """Where a bracketed value ends; -1 if the data ends before it does."""

    end: int
    depth: int
    broken: bool  # a string with a raw line end in it


def _extent(data: bytes, start: int) -> _Extent:
    """Find the end of the bracketed value that begins at ``start``."""
    if match := _SHALLOW.match(data, start):
        return _Extent(match.end(), 0, False)
    depth, broken = 0, False
    for token in _TOKEN.finditer(data, start):
        first = data[token.start()]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
            if depth == 0:
                return _Extent(token.end(), 0, broken)
        elif not token.group(1) and _ends_before(data, token.end()):
            broken = True
    return _Extent(-1, depth, broken)


def _ends_before(data: bytes, position: int) -> bool:
    """Whether an unclosed string stopped at a line end, not at the end of the data."""
    return data[position : position + 2] not in (b"", b"\\")


class _Window:
    """The input from a position on, as far as it was needed yet."""

    def __init__(self, data: bytes, line: int, read: Callable[[int], bytes]):
        self.data = data
        self.position = 0
        self.line = line  # number of the line that ``position`` is on
        self._line_start = 0
        self._read = read

    def grow(self) -> bool:
        """Read more, doubling what there is; False at the end of the input."""
        chunk = self._read(max(_BUFFER, len(self.data) - self.position))
        if not chunk:
            return False
        # Columns count from the line's start, which may be gone: a negative position is as good.
        self._line_start -= self.position
        self.data = self.data[self.position :] + chunk
        self.position = 0
        return True

    def move(self, position: int) -> None:
        """Go forward to a position."""
        if newlines := self.data.count(b"\n", self.position, position):
            self.line += newlines
            self._line_start = self.data.rfind(b"\n", self.position, position) + 1
        self.position = position

    def skip(self, pattern: re.Pattern[bytes]) -> bool:
        """Go past whatever matches; False if that was the end of the input."""
        while True:
            match = pattern.match(self.data, self.position)
            assert match  # every pattern given matches nothing, too
            self.move(match.end())
            # A byte order mark may be cut by the end of the data.
            if len(self.data) - self.position >= len(_BOM):
                return True
            if not self.grow():
                return self.position < len(self.data)

    @property
    def column(self) -> int:
        return self.position - self._line_start

    @property
    def rest(self) -> bytes:
        return self.data[self.position :]


class RecordReader(Generic[T]):
    """The records of one upload.

    Iterating gives ``(line number, text, value)`` for each piece of the upload, in its order: the
    physical line (from 1) on which the piece begins; its text, with white space around it at most; and

    * what ``decode`` made of the text, or
    * None where ``decode`` refused it although it is a JSON value, or
    * :class:`Malformed` where it is none.

    ``decode`` must raise ``ValueError`` (all of msgspec's errors are) or ``RecursionError`` to refuse,
    and must accept nothing that is not one complete JSON value.
    """

    def __init__(
        self, content: Content, decode: Callable[[bytes], T], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._content = content
        self._decode = decode
        self._limit = limits.record_bytes
        self._readline = partial(content.readline, limits.record_bytes)
        self._ahead: deque[bytes] = deque()  # lines that were read to look ahead
        self._line = 0  # number of the line read last
        self._patience = _PATIENCE

    def __iter__(self) -> Iterator[tuple[int, bytes, T | Malformed | None]]:
        """Read until the first good value shows what the file is, then read on in its mode."""
        while line := self._next_line():
            if self._line == 1:
                line = line.removeprefix(_BOM)  # noqa: PLW2901
            text = line.strip()
            if not text:
                continue
            number = self._line
            cut = self._is_cut(line)
            if text.startswith(b"[") and (cut or not is_value(text) or self._nothing_follows()):
                yield from self._array(_Window(line, number, self._read))
            elif text.startswith(b"{") and cut:
                yield from self._documents(_Window(line, number, self._read))
            elif cut:
                yield self._overlong_line(line)
            elif (objects := self._objects(text)) is not None:
                for item in objects:
                    yield number, item, self._value(item)
                yield from self._lines()
            else:
                window = self._spanning(line)
                if window is None:
                    yield number, line, self._value(text)
                elif window.position == 0:
                    yield from self._documents(window)
                else:
                    yield number, window.data[: window.position], self._value(window.data[: window.position])
                    self._unread(window)

    def _value(self, text: bytes) -> T | Malformed | None:
        if is_too_deep(text):
            return Malformed(f"nested deeper than {MAX_DEPTH}")
        try:
            return self._decode(text)
        except (ValueError, RecursionError):
            return None if is_value(text) else Malformed("no JSON value")

    # --- lines

    def _lines(self) -> Iterator[tuple[int, bytes, T | Malformed | None]]:
        decode, readline = self._decode, self._readline
        while True:
            number = self._line
            for line in chain(self._drain(), iter(readline, b"")):
                number += 1
                try:
                    value = decode(line)
                except (ValueError, RecursionError):
                    pass
                else:
                    if len(line) <= MAX_DEPTH:
                        yield number, line, value
                        continue
                    if not self._is_cut(line):
                        yield number, line, Malformed(f"nested deeper than {MAX_DEPTH}") if is_too_deep(line) else value
                        continue
                self._line = number
                yield from self._doubtful(line)
                if self._ahead or self._line != number:
                    break
            else:
                return

    def _doubtful(self, line: bytes) -> Iterator[tuple[int, bytes, T | Malformed | None]]:
        """A line that is not simply a record."""
        number = self._line
        if self._is_cut(line):
            yield self._overlong_line(line)
        elif text := line.strip().removeprefix(_BOM):
            if is_value(text):
                yield number, text, self._value(text)
            elif (objects := self._objects(text)) is not None:
                for item in objects:
                    yield number, item, self._value(item)
            elif window := self._spanning(line, only_good=True):
                end = _extent(window.data, 0).end
                ...
            else:
                yield number, line, self._value(line)
