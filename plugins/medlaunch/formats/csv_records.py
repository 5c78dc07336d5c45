"""Streams of CSV records, one at a time, in constant memory.

The format is that of RFC 4180: comma, fields in double quotes where they need to be, a quote inside doubled, lines
that end in LF or CRLF, line breaks inside quotes. A backslash is an ordinary character, and so is a carriage return
that no line feed follows. Records whose every field is blank do not count.

Each line (up to its LF) is UTF-8 if it decodes as that, else windows-1252 as the WHATWG defines it, in which every
byte is a character; nothing is ever dropped or replaced. One byte order mark at the beginning is dropped.

Where a file breaks the RFC, it is read as most programs do: a quote inside an unquoted field is an ordinary character,
and what follows a closing quote belongs to the field. One thing is not: **a quote that never closes does not swallow
the lines after it.** A record goes on with the next line only if it then is a record of the RFC to the letter, within
the limit of a record, and none of the lines within it is by itself a record with as many fields as the header (of five
or more). Else its first line is malformed, by itself, and reading goes on with the next one.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from medlaunch.formats import Item, Malformed
from medlaunch.formats.content import BOM, KEPT_BYTES, Content, Limits, UnreadableUpload

T = TypeVar("T")

#: Reasons of :class:`UnreadableUpload`, the last two with ``:<name>`` of the column.
EMPTY_FILE = "empty_file"
MISSING_COLUMN = "header_missing_column"
DUPLICATE_COLUMN = "header_duplicate_column"

#: Rows of CMS's files have up to 2,000 bytes.
CSV_LIMITS = Limits(record_bytes=256 * 1024)

UNCLOSED = Malformed("a quoted field does not end")

# Fewer fields than this a line inside a quoted text may well have.
_FIELDS_THAT_TELL = 5

# https://encoding.spec.whatwg.org/#legacy-single-byte-encodings: five bytes that Python leaves undefined are controls.
_WINDOWS_1252 = "".join(
    bytes([byte]).decode("latin-1" if byte in b"\x81\x8d\x8f\x90\x9d" else "cp1252") for byte in range(256)
)
_FIELD = re.compile(r'"((?:[^"]++|"")*+)(?:"([^,]*+)|\Z)|[^,]*+')
_STRICT_FIELD = r'(?:"(?:[^"]++|"")*+"|[^",\n]*+)'
_STRICT = re.compile(rf"{_STRICT_FIELD}(?:,{_STRICT_FIELD})*+")
_NOT_IN_NAMES = re.compile("[^a-z0-9]+")


def decode_line(line: bytes) -> str:
    """A line as text: UTF-8, or else windows-1252."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return codecs.charmap_decode(line, "strict", _WINDOWS_1252)[0]


def split_fields(text: str) -> tuple[list[str], bool]:
    """The fields of a record without its line end, and whether its last field is quoted and does not end."""
    fields: list[str] = []
    position = 0
    while True:
        match = _FIELD.match(text, position)
        assert match  # the pattern matches nothing, too
        quoted, after = match.groups()
        if quoted is None:
            fields.append(match[0])
        else:
            fields.append(quoted.replace('""', '"') + (after or ""))
        if match.end() == len(text):
            return fields, quoted is not None and after is None
        position = match.end() + 1


def is_record(line: bytes, width: int) -> bool:
    """Whether a line is a record by itself with as many fields as the header, too many for a piece of a text."""
    if width < _FIELDS_THAT_TELL or line.count(b",") < width - 1:
        return False
    fields, is_open = split_fields(decode_line(line).rstrip("\r\n"))
    return len(fields) == width and not is_open


def normalise(name: str) -> str:
    """The name of a column without what varies between files: lower case, letters and digits only."""
    return _NOT_IN_NAMES.sub("", name.lower())


@dataclass(frozen=True)
class Header:
    """Where columns are: positions by their canonical names; ``unknown`` are the names that mean nothing here."""

    width: int
    positions: Mapping[str, int]
    unknown: Sequence[str]

    def getter(self, names: Sequence[str]) -> Callable[[list[str]], tuple[str, ...]]:
        """Picks fields out of a record in the order of two or more ``names``; "" for a column that is not there."""
        positions = [self.positions.get(name, self.width) for name in names]
        if positions == list(range(self.width)):
            return tuple
        pick: Callable[[list[str]], tuple[str, ...]] = itemgetter(*positions)
        if self.width not in positions:
            return pick
        return lambda fields: pick([*fields, ""])


def find_columns(
    names: Sequence[str], aliases: Mapping[str, Sequence[str]], required: Collection[str]
) -> Header:
    """Find columns by what a header says.

    Args:
        names: the fields of the header.
        aliases: what a normalised name may stand for, canonical names in the order of preference. One that has
            several stands for the first that no other name of the header stands for.
        required: canonical names in the order in which they are reported.

    Raises:
        UnreadableUpload: if a required column is missing, or a column is there twice.
    """
    meanings = [aliases.get(normalise(name), ()) for name in names]
    clear = {one[0] for one in meanings if len(one) == 1}
    positions: dict[str, int] = {}
    twice: list[str] = []
    for position, choices in enumerate(meanings):
        if choices:
            name = next((one for one in choices if len(choices) > 1 and one not in clear), choices[0])
            if name in positions:
                twice.append(name)
            positions.setdefault(name, position)
    given = ", ".join(names)[:1000]
    for name in required:
        if name not in positions:
            raise UnreadableUpload(
                f"{MISSING_COLUMN}:{name}", f"no column of the header stands for it: {given}"
            )
    for name in twice:
        raise UnreadableUpload(
            f"{DUPLICATE_COLUMN}:{name}", f"two columns of the header stand for it: {given}"
        )
    unknown = [name.strip() for name, one in zip(names, meanings, strict=True) if name.strip() and not one]
    return Header(len(names), positions, unknown)


class CsvRecords:
    """The records of one CSV file: first :meth:`read_header`, then :meth:`items`.

    ``is_part`` says that the content is a part of a file, which may have no record.

    Attributes:
        repaired_lines: how many of the lines read so far were not UTF-8.
        header_bytes: where the header ends.
    """

    def __init__(self, content: Content, limits: Limits = CSV_LIMITS, *, is_part: bool = False):
        self._limit = limits.record_bytes
        # One byte more, to tell a line of just that length from the beginning of a longer one.
        self._readline = partial(content.readline, limits.record_bytes + 1)
        self._ahead: deque[bytes] = deque()  # lines that were read to look ahead
        self._line = 0  # number of the line read last
        self._width = 0
        self._is_part = is_part
        self.repaired_lines = 0
        self.header_bytes = 0

    def read_header(self, aliases: Mapping[str, Sequence[str]], required: Collection[str]) -> Header:
        """Read the first record that is not blank, and find columns by it; see :func:`find_columns`.

        Raises:
            UnreadableUpload: if there is no record, and as ``find_columns``.
        """
        line = self._next_line()
        if line.startswith(BOM):
            line = line[len(BOM) :]
            self.header_bytes = len(BOM)
        while line:
            raw, names = self._record(line)
            self.header_bytes += len(raw)
            if isinstance(names, Malformed):
                names = [line[:KEPT_BYTES].decode(errors="backslashreplace")]
            if not _is_blank(names):
                self._width = len(names)
                return find_columns(names, aliases, required)
            line = self._next_line()
        raise UnreadableUpload(EMPTY_FILE, "there is no header")

    def begin_at(self, header: Header, line: int) -> None:
        """Take what follows for a part of a file that begins with the line of this number; see ``ranges``."""
        self._width, self._line, self.repaired_lines = header.width, line - 1, 0

    def items(self, decode: Callable[[list[str]], T]) -> Iterator[Item[T]]:
        """The records after the header; see :data:`~medlaunch.formats.Item`.

        ``decode`` gets as many fields as the header has; a record with another number of them is malformed. It may
        refuse one with ``ValueError``.

        Raises:
            UnreadableUpload: while reading, if compressed data is damaged or too large; at the end, if there was no
                record in the file.
        """
        width, readline, limit = self._width, self._readline, self._limit
        feed: list[str] = []
        push, parse = feed.append, csv.reader(iter(feed.pop, None)).__next__
        empty = True
        while True:
            number = self._line
            for line in chain(self._drain(), iter(readline, b"")):
                number += 1
                # Most records: what _record() would say of them, sooner.
                try:
                    if b'"' in line:
                        push(line.decode())
                        fields = parse()
                    else:
                        fields = line.decode().rstrip("\r\n").split(",")
                except (UnicodeDecodeError, csv.Error, IndexError):  # IndexError: it asked for another line
                    fields = []
                if len(fields) == width and fields[0].strip() and len(line) <= limit:
                    empty = False
                    try:
                        value = decode(fields)
                    except ValueError:
                        yield number, line, None
                    else:
                        yield number, line, value
                    continue
                self._line = number
                raw, found = self._record(line)
                if isinstance(found, Malformed) or not _is_blank(found):
                    empty = False
                    yield number, raw, self._value(found, decode)
                if self._ahead or self._line != number:
                    break
            else:
                break
        if empty and not self._is_part:
            raise UnreadableUpload(EMPTY_FILE, "there is a header and no record")

    def _value(self, fields: list[str] | Malformed, decode: Callable[[list[str]], T]) -> T | Malformed | None:
        if isinstance(fields, Malformed):
            return fields
        if len(fields) != self._width:
            return Malformed(f"{len(fields)} fields, and the header has {self._width}")
        try:
            return decode(fields)
        except ValueError:
            return None

    def _record(self, line: bytes) -> tuple[bytes, list[str] | Malformed]:
        """The record that begins with a line: its bytes and its fields."""
        if self._is_cut(line):
            self._skip_line()
            return line[:KEPT_BYTES], Malformed(
                f"longer than {self._limit} bytes, of which the first {KEPT_BYTES} are kept"
            )
        text = self._text(line)
        fields, is_open = split_fields(text.rstrip("\r\n"))
        if not is_open:
            return line, fields
        more = self._rest(line)
        if not more:
            return line, UNCLOSED
        text += "".join(map(self._text, more))
        return b"".join([line, *more]), split_fields(text.rstrip("\r\n"))[0]

    def _rest(self, line: bytes) -> list[bytes]:
        """The lines with which a record goes on whose last field does not end on its first line.

        Empty, if it does not end in the way of the RFC; then they are still to be read. By the RFC a line with an odd
        number of quotes opens or closes a field over lines, and no other does. So no line is looked at twice for
        another one's sake, and any input takes linear time.
        """
        lines: list[bytes] = []
        size = len(line)
        if line.count(b'"') % 2:
            while size <= self._limit and (following := self._next_line()):
                lines.append(following)
                size += len(following)
                if following.count(b'"') % 2:
                    text = "".join(map(decode_line, (line, *lines)))
                    if size <= self._limit and _STRICT.fullmatch(text.rstrip("\r\n")):
                        return lines
                    break
                if is_record(following, self._width):
                    break
        self._ahead.extendleft(reversed(lines))
        self._line -= len(lines)
        return []

    def _text(self, line: bytes) -> str:
        """A line as text, once for each line."""
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.repaired_lines += 1
            return decode_line(line)

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


def _is_blank(fields: Sequence[str]) -> bool:
    return not any(map(str.strip, fields))
