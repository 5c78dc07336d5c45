"""Streams of records out of any accepted upload, in constant memory.

An upload is NDJSON, one JSON array, or concatenated (possibly pretty-printed) JSON values, plain or
gzipped. Every non-blank piece of it comes out as exactly one item, a record or a malformed piece. No bytes
make the reader fail, except compressed ones that do not decompress (``UnreadableUpload``).

How a file is read follows from its first good value:

* complete on its line: **lines**. A line that is not a value is an item by itself, so that a
  truncated one never swallows its good neighbours. Only a line that is the beginning of a value, and is not followed
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
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Generic, TypeVar

from medlaunch.formats import Item, Malformed
from medlaunch.formats.content import DEFAULT_LIMITS, KEPT_BYTES, Content, Limits
from medlaunch.formats.json_scan import (
    JUNK_IN_ARRAY,
    JUNK_IN_LINE,
    MAX_DEPTH,
    Window,
    find_extent,
    is_object,
    is_too_deep,
    is_value,
    match_end,
    next_begin,
    objects_of,
    skip_value,
    text_start,
    unclosed_object,
)

T = TypeVar("T")

#: The text itself shows what is wrong.
NO_VALUE = Malformed("no JSON value")
_TOO_DEEP = Malformed(f"nested deeper than {MAX_DEPTH}")

_CHUNK = 256 * 1024
# How many bytes may be looked at in vain, ahead of what is read: keeps any input linear in time.
_AHEAD_BUDGET = 32 * 1024**2
#: How far a value may reach that spans lines although the file's first did not.
LOOK_AHEAD = 64 * 1024
#: How many bytes may have been looked at in vain beyond a line, for one more look from it. It depends on what is near
#: the line only, so that a part of a file gives what the whole gives, and any input takes linear time.
IN_VAIN = 4 * LOOK_AHEAD


class JsonRecords(Generic[T]):
    """The records of one upload.

    Iterating gives an :data:`~medlaunch.formats.Item` for each piece of the upload, in its order; its bytes may
    have white space around them. ``decode`` must raise ``ValueError`` (as msgspec's errors are) or ``RecursionError`` to refuse, and
    must accept nothing but one complete JSON value.

    Raises (while iterating):
        UnreadableUpload: if compressed data is damaged or too large.
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
        self._budget = _AHEAD_BUDGET
        self._in_vain: list[tuple[int, int]] = []  # looks ahead: the last line that each saw, and its bytes
        self._is_part = False

    def begin_at(self, line: int) -> None:
        """Take the content for a part of a file of lines that begins with the line of this number; see ``ranges``."""
        self._line, self._is_part = line - 1, True

    def __iter__(self) -> Iterator[Item[T]]:
        """Read until the first good value shows what the file is, then read on in its mode."""
        if self._is_part:
            yield from self._lines()
        while line := self._next_line():
            start = text_start(line)
            if start == len(line):
                continue
            if line[start] == ord("["):
                if self._is_cut(line) or not is_value(line[start:]) or self._nothing_follows():
                    yield from self._values(self._window(line), in_array=True)
                else:
                    yield from self._doubtful(line)
            elif self._is_cut(line) and line[start] == ord("{"):
                yield from self._values(self._window(line))
            elif self._budget >= 0 and (spanning := self._spanning(line, self._limit)):
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
                if good or self._budget < 0:
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
        start = text_start(line)
        if start == len(line):
            return
        text, value = self._judge(line[start:])
        if not isinstance(value, Malformed):
            yield number, text, value
        elif all(objects_of(line, start)):
            for item in objects_of(line, start):
                yield number, *self._judge(item)
        elif spanning and self._may_look_ahead() and (found := self._spanning(line, LOOK_AHEAD)):
            window, start, end = found
            after = window.data[end:].partition(b"\n")[0].strip()
            if is_value(window.data[start:end]) and (not after or after.startswith(b"{")):
                yield from self._take(window, start, end)
            else:
                self._looked_in_vain(window.data[start:end])
                yield number, line, value
                window.move(len(line))
                self._unread(window)
        else:
            yield number, line, value

    def _spanning(self, line: bytes, limit: int) -> tuple[Window, int, int] | None:
        """Where a value begins and ends that begins on this line and does not end on it.

        Objects may stand before it, and it ends within ``limit`` bytes. None, if there is no such value,
        leaves the reader where it was. What else is between its brackets is not looked at, except that
        a complete object on the next line shows that this line was cut off.
        """
        start, number = unclosed_object(line), self._line
        if start is None:
            return None
        window = self._window(line, chunk=4096)
        following = self._next_line()
        self._line -= bool(following)
        window.data += following
        if following and not is_object(following):
            while True:
                extent = find_extent(window.data, start)
                if start <= extent.end <= start + limit and not extent.broken:
                    return window, start, extent.end
                too_far = extent.end >= 0 or len(window.data) - start > limit
                if extent.broken or too_far or not window.grow():
                    break
            self._budget -= len(window.data)
            # How much is there depends on how the bytes came.
            while len(window.data) - start < LOOK_AHEAD and window.grow():
                pass
            self._looked_in_vain(window.data[start : start + LOOK_AHEAD])
        window.move(len(line))
        self._unread(window)
        self._line = number
        return None

    def _looked_in_vain(self, text: bytes) -> None:
        self._in_vain.append((self._line + text.count(b"\n"), len(text)))

    def _may_look_ahead(self) -> bool:
        self._in_vain = [one for one in self._in_vain if one[0] >= self._line]
        return sum(size for _, size in self._in_vain) <= IN_VAIN

    def _take(self, window: Window, start: int, end: int) -> Iterator[Item[T]]:
        """The objects before ``start`` and the value from there to ``end``; gives back the rest."""
        for item in objects_of(window.data[:start], text_start(window.data)):
            yield window.line, *self._judge(item)
        window.move(start)
        number = window.line
        yield number, *self._judge(window.take(end))
        self._unread(window)

    def _nothing_follows(self) -> bool:
        """Whether only blank lines are left; goes past those."""
        while line := self._next_line():
            if text_start(line) < len(line):
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

    def _unread(self, window: Window) -> None:
        """Give back what is left of a window, as lines; its first may be the rest of a line."""
        self._line = window.line - 1
        lines = io.BytesIO(window.rest).readlines()
        if lines and not lines[-1].endswith(b"\n"):
            rest = self._ahead.popleft() if self._ahead else self._readline()
            lines[-1] += rest
        self._ahead.extendleft(reversed(lines))

    # --- documents and arrays

    def _window(self, line: bytes, chunk: int = _CHUNK) -> Window:
        return Window(line, self._line, self._read, chunk)

    def _read(self, size: int) -> bytes:
        if not self._ahead:
            return self._content.read(size)
        lines = []
        while self._ahead and size > 0:
            lines.append(self._ahead.popleft())
            size -= len(lines[-1])
        return b"".join(lines)

    def _values(self, window: Window, in_array: bool = False) -> Iterator[Item[T]]:
        """Values one after the other, wherever lines end; those of an array up to its end.

        Commas count as white space: between values they say nothing, and a forgotten one loses nothing.
        """
        window.chunk = _CHUNK
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
                    begin = next_begin(window, column, end - window.position if closed else self._limit)
                if begin:
                    self._budget -= len(window.data) - begin
                    yield number, window.take(begin), NO_VALUE
                elif closed:
                    yield number, *self._judge(window.take(end))
                elif len(window.data) - window.position <= self._limit:
                    yield number, window.take(len(window.data)), Malformed("the file ends inside of it")
                    return
                else:
                    text = window.data[window.position : window.position + KEPT_BYTES]
                    more = skip_value(window)
                    yield number, text, self._too_long()
                    if not more:
                        return
            elif in_array and first == ord("]"):
                window.move(window.position + 1)
                self._unread(window)
                return
            else:
                yield number, self._junk(window, in_array, column), NO_VALUE
            if self._budget < 0:
                self._unread(window)
                return
        if in_array:
            yield window.line, b"", Malformed("the file ends before its array does")

    def _read_value(self, window: Window) -> int:
        """Where the value ends that begins here; -1 if that is beyond the limit or the file's end."""
        while True:
            end = find_extent(window.data, window.position).end
            if end >= 0 or len(window.data) - window.position > self._limit or not window.grow():
                return end

    def _junk(self, window: Window, in_array: bool, column: int) -> bytes:
        """Take what is no value, up to where one may begin."""
        on_its_line = window.indented
        while True:
            if in_array:
                begin = match_end(JUNK_IN_ARRAY, window.data, window.position)
            elif on_its_line:
                begin = next_begin(window, column, self._limit)
            else:
                begin = match_end(JUNK_IN_LINE, window.data, window.position)
            if (begin or len(window.data)) - window.position > self._limit:
                return window.take(window.position + self._limit)[:KEPT_BYTES]
            if 0 < begin < len(window.data):
                return window.take(begin)
            if not window.grow():
                return window.take(len(window.data))

    def _too_long(self) -> Malformed:
        return Malformed(f"longer than {self._limit} bytes, of which the first {KEPT_BYTES} are kept")
