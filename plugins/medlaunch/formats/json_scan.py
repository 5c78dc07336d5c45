"""Where JSON values begin and end in bytes that may be damaged: pure functions and a growing window."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from medlaunch.formats.content import BOM

#: RFC 8259, section 9, lets a parser limit nesting. A fixed limit, far below the interpreter's own, makes
#: the verdict on a line independent of how deep the caller's stack is.
MAX_DEPTH = 500

_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+'
_TOKEN = re.compile(rb"[\[{]++|[\]}]++|" + _STRING + rb'("?)')
_LOOSE_TOKEN = re.compile(rb'[\[{]++|[\]}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+("?)', re.DOTALL)
BLANK = re.compile(rb"(?:\s|" + BOM + rb")*+")
_SEPARATORS = re.compile(rb"(?:[\s,]|" + BOM + rb")*+")
_IN_STRING = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
JUNK_IN_LINE = re.compile(rb"[^\n\[{]*+")
JUNK_IN_ARRAY = re.compile(rb'(?:[^"\[\]{,]|' + _STRING + rb'"?)*+')


def _nested(depth: int) -> bytes:
    """A pattern for one bracketed value of at most this depth, brackets of either kind."""
    inner = rb'[^"\[\]{}]++|' + _STRING + rb'"'
    for _ in range(depth):
        inner = rb'[^"\[\]{}]++|' + _STRING + rb'"|[{\[](?:' + inner + rb")*+[}\]]"
    return rb"[{\[](?:" + inner + rb")*+[}\]]"


# One call for the values that really occur (records nest three deep); others take the tokens.
_SHALLOW = re.compile(_nested(5))

_syntax = msgspec.json.Decoder(msgspec.Raw).decode


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


class Extent(NamedTuple):
    """Where a bracketed value ends; ``end`` is -1 if the data ends before it does."""

    end: int
    broken: bool = False  # there is a string with a raw line end in it


def find_extent(data: bytes, start: int) -> Extent:
    """Find the end of the bracketed value that begins at ``start``.

    A string with a raw line end in it was either cut off there or written without escaping; whichever
    makes the value end sooner is believed.
    """
    if match := _SHALLOW.match(data, start):
        return Extent(match.end())
    extent = _balance(_TOKEN, data, start)
    if extent.broken:
        end = _balance(_LOOSE_TOKEN, data, start).end
        if end >= 0 and not 0 <= extent.end <= end:
            return Extent(end, True)
    return extent


def _balance(tokens: re.Pattern[bytes], data: bytes, start: int) -> Extent:
    depth, broken = 0, False
    for token in tokens.finditer(data, start):
        begin, end = token.span()
        if data[begin] in b"{[":
            depth += end - begin
        elif data[begin] in b"}]":
            if depth <= end - begin:
                return Extent(begin + depth, broken)
            depth -= end - begin
        elif not token.group(1) and not _at_end(data, end):
            broken = True
    return Extent(-1, broken)


def _at_end(data: bytes, position: int) -> bool:
    """Whether an unclosed string that was read up to here may go on where the data ends."""
    return data[position : position + 2] in (b"", b"\\")


class Window:
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
            if len(self.data) - self.position >= len(BOM):
                return True
            if not self.grow():
                return bool(self.data)

    @property
    def column(self) -> int:
        return self.position - self._line_start

    @property
    def rest(self) -> bytes:
        return self.data[self.position :]


def match_end(pattern: re.Pattern[bytes], data: bytes, position: int = 0) -> int:
    match = pattern.match(data, position)
    assert match  # of patterns that match nothing, too
    return match.end()


def text_start(line: bytes) -> int:
    """Where the line's text begins; its length if it is blank."""
    return match_end(BLANK, line)


def objects_of(line: bytes, start: int) -> Iterator[bytes]:
    """The objects of a line, one after the other; ends with an empty one if something else is between."""
    while start < len(line):
        end = find_extent(line, start).end if line[start] == ord("{") else -1
        if end < 0 or not is_value(line[start:end]):
            yield b""
            return
        yield line[start:end]
        start = match_end(BLANK, line, end)


def unclosed_object(line: bytes) -> int | None:
    """Where the object begins that ends below this line; None if there is none.

    Complete objects may be before it. One that was cut off inside a string does not go on.
    """
    start = text_start(line)
    while start < len(line) and line[start] == ord("{"):
        extent = find_extent(line, start)
        if extent.end < 0:
            return None if extent.broken else start
        if not is_value(line[start : extent.end]):
            return None
        start = match_end(BLANK, line, extent.end)
    return None


def is_object(line: bytes) -> bool:
    """Whether a line is a complete object, so that an object that is unclosed before it was cut off."""
    return line.lstrip().startswith(b"{") and is_value(line)


def next_begin(window: Window, column: int, limit: int) -> int:
    """The next line that begins as a record does, no further to the right than the last; 0 if there is none."""
    pattern = re.compile(rb"\n[ \t]{0,%d}(?=\{)" % column)
    match = pattern.search(window.data, window.position, window.position + limit)
    return match.end() if match else 0


def skip_value(window: Window) -> bool:
    """Go past a value of any length, or up to a line that begins with an object; False at the file's end."""
    depth, in_string, previous = 0, False, 0
    while True:
        data, position = window.data, window.position
        if in_string:
            position = match_end(_IN_STRING, data, position)
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
