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
from typing import BinaryIO, Generic, NamedTuple, TypeAlias, TypeVar

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
MAX_DEPTH = 500

_BUFFER = 256 * 1024
_BOM = b"\xef\xbb\xbf"
# JSON cannot begin with these bytes (RFC 1952, section 2.3.1: ID1, ID2, CM = deflate).
_GZIP = b"\x1f\x8b\x08"
# How many bytes may be looked at in vain, ahead of what is read: keeps any input linear in time.
_PATIENCE = 32 * 1024**2
# How far a value may reach that spans lines although the file's first did not.
_LOOK_AHEAD = 64 * 1024

_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+'
_TOKEN = re.compile(rb"[\[{]++|[\]}]++|" + _STRING + rb'("?)')
_LOOSE_TOKEN = re.compile(rb'[\[{]++|[\]}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+("?)', re.DOTALL)
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


Item: TypeAlias = tuple[int, bytes, T | Malformed | None]

#: The text itself shows what is wrong.
NO_VALUE = Malformed("no JSON value")
_TOO_DEEP = Malformed(f"nested deeper than {MAX_DEPTH}")


# --- bytes -----------------------------------------------------------------------------------------


class _Raw(io.RawIOBase):
    """The upload's bytes as they come; ``bytes_read`` counts them."""

    def __init__(self, stream: BinaryIO, head: bytes):
        self._stream, self._head = stream, head
        self._readinto = getattr(stream, "readinto", None)
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def _take(self, size: int) -> bytes:
        chunk = self._head[:size] or self._stream.read(size)
        self._head = self._head[size:]
        self.bytes_read += len(chunk)
        return chunk

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._readinto and not self._head:
            size: int = self._readinto(buffer) or 0
            self.bytes_read += size
            return size
        chunk = self._take(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Gunzip(_Raw):
    """Decompressed bytes of a gzip of any number of members (RFC 1952), zero-padded or not."""

    def __init__(self, stream: BinaryIO, head: bytes, limits: Limits):
        super().__init__(stream, head)
        self._limits = limits
        self._member = _inflate.decompressobj(wbits=31)
        self._input = b""
        self._held_back = False  # output that did not fit may be left inside the decompressor
        self._total = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._member.eof and not self._next_member():
                return 0
            if not self._input and not self._held_back:
                self._input = self._take(_BUFFER)
                if not self._input:
                    raise UnreadableUpload(
                        Unreadable.CORRUPT_GZIP, "the file ends inside its compressed data"
                    )
            try:
                chunk = self._member.decompress(self._input, len(buffer))
            except (zlib.error, _inflate.error) as error:
                raise UnreadableUpload(
                    Unreadable.CORRUPT_GZIP,
                    f"not gzip, or damaged, within the first {self.bytes_read:,} bytes ({error})",
                ) from error
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._held_back = len(chunk) == len(buffer)
            if chunk:
                self._total += len(chunk)
                self._check_size()
                buffer[: len(chunk)] = chunk
                return len(chunk)

    def _next_member(self) -> bool:
        while not (rest := self._input.lstrip(b"\0")):
            self._input = self._take(_BUFFER)
            if not self._input:
                return False
        self._input = rest
        self._member = _inflate.decompressobj(wbits=31)
        self._held_back = False
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


class Content:
    """An upload's decompressed bytes; iterating gives its lines, each with its line feed."""

    def __init__(self, raw: _Raw):
        # Not a subclass: those iterate at half the speed (CPython looks up their readline for each line).
        self._buffered = io.BufferedReader(raw, _BUFFER)
        self._raw = raw
        self.read = self._buffered.read
        self.readline = self._buffered.readline

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._buffered)

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the upload so far, compressed ones where it is compressed."""
        return self._raw.bytes_read


def open_content(stream: BinaryIO, name: str, limits: Limits = DEFAULT_LIMITS) -> Content:
    """The content of an upload; gzip if its name ends in ``.gz`` or its first bytes say so.

    Nothing that is JSON begins like a gzip, so a gzip under a plain name is
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
    if len(text) <= 2 * MAX_DEPTH or text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        begin, end = token.span()
        if text[begin] in b"{[":
            depth += end - begin
            if depth > MAX_DEPTH:
                return True
        elif text[begin] in b"}]":
            depth -= end - begin
    return False


class _Extent(NamedTuple):
    """Where a bracketed value ends; ``end`` is -1 if the data ends before it does."""

    end: int
    broken: bool = False  # there is a string with a raw line end in it


def _extent(data: bytes, start: int) -> _Extent:
    """Find the end of the bracketed value that begins at ``start``.

    A string with a raw line end in it was either cut off there or written without escaping; whichever
    makes the value end sooner is believed.
    """
    if match := _SHALLOW.match(data, start):
        return _Extent(match.end())
    extent = _balance(_TOKEN, data, start)
    if extent.broken:
        end = _balance(_LOOSE_TOKEN, data, start).end
        if end >= 0 and not 0 <= extent.end <= end:
            return _Extent(end, True)
    return extent


def _balance(tokens: re.Pattern[bytes], data: bytes, start: int) -> _Extent:
    depth, broken = 0, False
    for token in tokens.finditer(data, start):
        begin, end = token.span()
        if data[begin] in b"{[":
            depth += end - begin
        elif data[begin] in b"}]":
            if depth <= end - begin:
                return _Extent(begin + depth, broken)
            depth -= end - begin
        elif not token.group(1) and not _at_end(data, end):
            broken = True
    return _Extent(-1, broken)


def _at_end(data: bytes, position: int) -> bool:
    """Whether an unclosed string that was read up to here may go on where the data ends."""
    return data[position : position + 2] in (b"", b"\\")


class _Window:
    """The input from some position on, as far as it was needed yet."""

    def __init__(self, data: bytes, line: int, read: Callable[[int], bytes], chunk: int):
        self.data = data
        self.position = 0
        self.line = line  # number of the line that ``position`` is on
        self.chunk = chunk
        self.indented = True  # there is nothing before ``position`` on its line
        self._line_start = 0
        self._read = read

    def grow(self) -> bool:
        """Read more, at least doubling what there is; False at the end of the input."""
        more = self._read(max(self.chunk, len(self.data) - self.position))
        self._line_start -= self.position
        self.data = self.data[self.position :] + more
        self.position = 0
        return bool(more)

    def move(self, position: int) -> None:
        """Go forward to a position."""
        if newlines := self.data.count(b"\n", self.position, position):
            self.line += newlines
            self._line_start = self.data.rfind(b"\n", self.position, position) + 1
            self.indented = True
        self.position = position

    def take(self, position: int) -> bytes:
        """Go forward to a position; returns what was passed."""
        text = self.data[self.position : position]
        self.move(position)
        _, newline, last_line = text.rpartition(b"\n")
        self.indented = bool(newline) and not last_line.strip()
        return text

    def skip_separators(self) -> bool:
        """Go past white space and commas; False if that was the end of the input."""
        while True:
            match = _SEPARATORS.match(self.data, self.position)
            assert match  # the pattern matches nothing, too
            self.move(match.end())
            # A byte order mark may be cut by the end of the data.
            if len(self.data) - self.position >= len(_BOM):
                return True
            if not self.grow():
                return bool(self.data)

    @property
    def column(self) -> int:
        return self.position - self._line_start

    @property
    def rest(self) -> bytes:
        return self.data[self.position :]


class RecordReader(Generic[T]):
    """The records of one upload.

    Iterating gives ``(line number, text, value)`` for each piece of the upload, in its order: the
    physical line (from 1) on which the piece begins; its text, maybe with white space around; and

    * what ``decode`` made of the text, or
    * None where ``decode`` refused it although it is a JSON value, or
    * :class:`Malformed` where it is none.

    ``decode`` must raise ``ValueError`` (as msgspec's errors are) or ``RecursionError`` to refuse, and
    must accept nothing but one complete JSON value.

    Raises (while iterating):
        UnreadableUpload: if compressed data is damaged or a bomb.
    """

    def __init__(
        self, content: Content, decode: Callable[[bytes], T], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._content = content
        self._decode = decode
        self._limit = limits.record_bytes
        # One byte more, to tell a line of just that length from the beginning of a longer one.
        self._readline = partial(content.readline, limits.record_bytes + 1)
        self._ahead: deque[bytes] = deque()  # lines that were read to look ahead
        self._line = 0  # number of the line read last
        self._patience = _PATIENCE

    def __iter__(self) -> Iterator[Item[T]]:
        """Read until the first good value shows what the file is, then read on in its mode."""
        while line := self._next_line():
            start = _start(line)
            if start == len(line):
                continue
            if line[start] == ord("["):
                if self._is_cut(line) or not is_value(line[start:]) or self._nothing_follows():
                    yield from self._values(self._window(line), in_array=True)
                else:
                    yield from self._doubtful(line)
            elif self._is_cut(line) and line[start] == ord("{"):
                yield from self._values(self._window(line))
            elif self._patience >= 0 and (spanning := self._spanning(line, self._limit)):
                window, start, end = spanning
                if is_value(window.data[start:end]):
                    yield from self._values(window)
                else:
                    yield from self._take(window, start, end)
            else:
                good = False
                for item in self._doubtful(line):
                    good = good or not isinstance(item[2], Malformed)
                    yield item
                if good or self._patience < 0:
                    yield from self._lines()

    def _judge(self, text: bytes) -> tuple[bytes, T | Malformed | None]:
        if is_too_deep(text):
            return text, _TOO_DEEP
        try:
            return text, self._decode(text)
        except (ValueError, RecursionError):
            return text, None if is_value(text) else NO_VALUE

    # --- lines

    def _lines(self) -> Iterator[Item[T]]:
        decode, readline = self._decode, self._readline
        self._patience = min(self._patience, _PATIENCE // 4)
        while True:
            number = self._line
            for line in chain(self._drain(), iter(readline, b"")):
                number += 1
                try:
                    value = decode(line)
                except (ValueError, RecursionError):
                    pass
                else:
                    # A longer line may be too long or too deep, whatever it decodes to.
                    if len(line) <= 2 * MAX_DEPTH:
                        yield number, line, value
                        continue
                    if not self._is_cut(line) and not is_too_deep(line):
                        yield number, line, value
                        continue
                self._line = number
                yield from self._doubtful(line, spanning=True)
                if self._ahead or self._line != number:
                    break
            else:
                return

    def _doubtful(self, line: bytes, spanning: bool = False) -> Iterator[Item[T]]:
        """A line that is not simply a record."""
        number = self._line
        if self._is_cut(line):
            self._skip_line()
            yield number, line[:KEPT_BYTES], self._too_long()
            return
        start = _start(line)
        if start == len(line):
            return
        text, value = self._judge(line[start:])
        if not isinstance(value, Malformed):
            yield number, text, value
        elif all(_objects(line, start)):
            for item in _objects(line, start):
                yield number, *self._judge(item)
        elif spanning and self._patience >= 0 and (found := self._spanning(line, _LOOK_AHEAD)):
            window, start, end = found
            after = window.data[end:].partition(b"\n")[0].strip()
            if is_value(window.data[start:end]) and (not after or after.startswith(b"{")):
                yield from self._take(window, start, end)
            else:
                yield number, line, value
                window.move(len(line))
                self._unread(window)
        else:
            yield number, line, value

    def _spanning(self, line: bytes, limit: int) -> tuple[_Window, int, int] | None:
        """Where a value begins and ends that begins on this line and does not end on it.

        Objects may stand before it, and it ends within ``limit`` bytes. None, if there is no such value,
        leaves the reader where it was. What else is between its brackets is not looked at, except that
        a complete object on the next line shows that this line was cut off.
        """
        start, number = _start(line), self._line
        while True:
            if start == len(line) or line[start] != ord("{"):
                return None
            extent = _extent(line, start)
            if extent.end < 0:
                break
            if not is_value(line[start : extent.end]):
                return None
            start = _match_end(_BLANK, line, extent.end)
        if extent.broken:
            return None
        window = self._window(line, chunk=4096)
        following = self._next_line()
        self._line -= bool(following)
        window.data += following
        if following and not (following.lstrip().startswith(b"{") and is_value(following)):
            while True:
                extent = _extent(window.data, start)
                if start <= extent.end <= start + limit and not extent.broken:
                    return window, start, extent.end
                too_far = extent.end >= 0 or len(window.data) - start > limit
                if extent.broken or too_far or not window.grow():
                    break
            self._patience -= len(window.data)
        window.move(len(line))
        self._unread(window)
        self._line = number
        return None

    def _take(self, window: _Window, start: int, end: int) -> Iterator[Item[T]]:
        """The objects before ``start`` and the value from there to ``end``; gives back the rest."""
        for item in _objects(window.data[:start], _start(window.data)):
            yield window.line, *self._judge(item)
        window.move(start)
        number = window.line
        yield number, *self._judge(window.take(end))
        self._unread(window)

    def _nothing_follows(self) -> bool:
        """Whether only blank lines are left; goes past those."""
        while line := self._next_line():
            if _start(line) < len(line):
                self._ahead.appendleft(line)
                self._line -= 1
                return False
        return True

    def _next_line(self) -> bytes:
        line = self._ahead.popleft() if self._ahead else self._readline()
        self._line += bool(line)
        return line

    def _drain(self) -> Iterator[bytes]:
        while self._ahead:
            yield self._ahead.popleft()

    def _is_cut(self, line: bytes) -> bool:
        return len(line) > self._limit and not line.endswith(b"\n")

    def _skip_line(self) -> None:
        while rest := self._ahead.popleft() if self._ahead else self._readline():
            if rest.endswith(b"\n"):
                return

    def _unread(self, window: _Window) -> None:
        """Give back what is left of a window, as lines; its first may be the rest of a line."""
        self._line = window.line - 1
        lines = io.BytesIO(window.rest).readlines()
        if lines and not lines[-1].endswith(b"\n"):
            rest = self._ahead.popleft() if self._ahead else self._readline()
            lines[-1] += rest
        self._ahead.extendleft(reversed(lines))

    # --- documents and arrays

    def _window(self, line: bytes, chunk: int = _BUFFER) -> _Window:
        return _Window(line, self._line, self._read, chunk)

    def _read(self, size: int) -> bytes:
        if not self._ahead:
            return self._content.read(size)
        lines = []
        while self._ahead and size > 0:
            lines.append(self._ahead.popleft())
            size -= len(lines[-1])
        return b"".join(lines)

    def _values(self, window: _Window, in_array: bool = False) -> Iterator[Item[T]]:
        """Values one after the other, wherever lines end; those of an array up to its end.

        Commas count as white space: between values they say nothing, and a forgotten one loses nothing.
        """
        window.chunk = _BUFFER
        if in_array:
            window.skip_separators()
            window.move(window.position + 1)
        column = 0
        while window.skip_separators():
            first = window.data[window.position]
            number = window.line
            if first in b"{[":
                column = min(window.column, 8)
                end = self._read_value(window)
                closed = 0 <= end <= window.position + self._limit
                # Brackets of the wrong kind: the end is that of something around the value.
                crossed = closed and (first == ord("{")) != (window.data[end - 1] == ord("}"))
                begin = 0
                if crossed or not closed:
                    begin = _next_begin(window, column, end - window.position if closed else self._limit)
                if begin:
                    self._patience -= len(window.data) - begin
                    yield number, window.take(begin), NO_VALUE
                elif closed:
                    yield number, *self._judge(window.take(end))
                elif len(window.data) - window.position <= self._limit:
                    yield number, window.take(len(window.data)), Malformed("the file ends inside of it")
                    return
                else:
                    text = window.data[window.position : window.position + KEPT_BYTES]
                    more = _skip_value(window)
                    yield number, text, self._too_long()
                    if not more:
                        return
            elif in_array and first == ord("]"):
                window.move(window.position + 1)
                self._unread(window)
                return
            else:
                yield number, self._junk(window, in_array, column), NO_VALUE
            if self._patience < 0:
                self._unread(window)
                return
        if in_array:
            yield window.line, b"", Malformed("the file ends before its array does")

    def _read_value(self, window: _Window) -> int:
        """Where the value ends that begins here; -1 if that is beyond the limit or the file's end."""
        while True:
            end = _extent(window.data, window.position).end
            if end >= 0 or len(window.data) - window.position > self._limit or not window.grow():
                return end

    def _junk(self, window: _Window, in_array: bool, column: int) -> bytes:
        """Take what is no value, up to where one may begin."""
        on_its_line = window.indented
        while True:
            if in_array:
                begin = _match_end(_JUNK_IN_ARRAY, window.data, window.position)
            elif on_its_line:
                begin = _next_begin(window, column, self._limit)
            else:
                begin = _match_end(_JUNK_IN_LINE, window.data, window.position)
            if (begin or len(window.data)) - window.position > self._limit:
                return window.take(window.position + self._limit)[:KEPT_BYTES]
            if 0 < begin < len(window.data):
                return window.take(begin)
            if not window.grow():
                return window.take(len(window.data))

    def _too_long(self) -> Malformed:
        return Malformed(f"longer than {self._limit} bytes, of which the first {KEPT_BYTES} are kept")


def _match_end(pattern: re.Pattern[bytes], data: bytes, position: int = 0) -> int:
    match = pattern.match(data, position)
    assert match  # of patterns that match nothing, too
    return match.end()


def _start(line: bytes) -> int:
    """Where the line's text begins; its length if it is blank."""
    return _match_end(_BLANK, line)


def _objects(line: bytes, start: int) -> Iterator[bytes]:
    """The objects of a line, one after the other; ends with an empty one if something else is between."""
    while start < len(line):
        end = _extent(line, start).end if line[start] == ord("{") else -1
        if end < 0 or not is_value(line[start:end]):
            yield b""
            return
        yield line[start:end]
        start = _match_end(_BLANK, line, end)


def _next_begin(window: _Window, column: int, limit: int) -> int:
    """The next line that begins as a record does, no further to the right than the last; 0 if there is none."""
    pattern = re.compile(rb"\n[ \t]{0,%d}(?=\{)" % column)
    match = pattern.search(window.data, window.position, window.position + limit)
    return match.end() if match else 0


def _skip_value(window: _Window) -> bool:
    """Go past a value of any length, or up to a line that begins with an object; False at the file's end."""
    depth, in_string, previous = 0, False, 0
    while True:
        data, position = window.data, window.position
        if in_string:
            position = _match_end(_IN_STRING, data, position)
            in_string = _at_end(data, position)
            position += data[position : position + 1] == b'"'
        if not in_string:
            for token in _TOKEN.finditer(data, position):
                begin, position = token.span()
                if data[begin] in b"{[":
                    before = data[begin - 1] if begin else previous
                    if depth and data[begin] == ord("{") and before == ord("\n"):
                        window.move(begin)
                        return True
                    depth += position - begin
                elif data[begin] in b"}]":
                    if depth <= position - begin:
                        window.move(begin + depth)
                        return True
                    depth -= position - begin
                elif not token.group(1) and _at_end(data, position):
                    in_string = True
                    break
            else:
                position = len(data)
        previous = data[-1]
        window.move(position)
        if not window.grow():
            window.move(len(window.data))
            return False
