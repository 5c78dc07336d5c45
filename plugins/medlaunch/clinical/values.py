"""How a FHIR upload is split into resources, in constant memory.

The content decides, not the file's extension:

1. one JSON value: an array's elements, or the value itself;
2. else, if any line alone is an object with ``resourceType``, NDJSON: each line that is not blank is one value;
3. else values one after the other, wherever lines end. The first syntax error ends the file.

Facility records are read by :mod:`medlaunch.formats.json_records`, which repairs what it can. Here a file that is
broken must not give other resources on another day, so the rules are strict. Both use the same scanner.

A ``Bundle`` is opened wherever it stands. What is not NDJSON is written to a temporary file first, since rules 1 and
2 need its end; of a value of any length no more than a chunk is in memory, unless it is a resource.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Container, Iterator
from typing import BinaryIO, Generic, TypeVar

import msgspec
from msgspec import Raw

from medlaunch.formats import Malformed
from medlaunch.formats.content import BOM, KEPT_BYTES, Content, Limits
from medlaunch.formats.json_scan import MAX_DEPTH, Window, find_extent, is_too_deep, is_value, match_end

T = TypeVar("T")

#: The longest resource, and the longest line. A Bundle that is alone in its file may be longer.
LIMITS = Limits(record_bytes=32 * 1024**2)

_CHUNK = 256 * 1024
# A longer value is looked at part by part.
_WHOLE = 1024**2
_BLANK = b" \t\r\n"
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(
    rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|true|false|null|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?'
)
_URN = "urn:uuid:"


class Value(msgspec.Struct, Generic[T], gc=False):
    """One value of an upload.

    Attributes:
        line: the line, from 1, on which it begins; for what is in a Bundle, on which the Bundle begins, unless the
            Bundle is read part by part.
        raw: its bytes, the first ones if it is too long.
        value: what ``decode`` made of it; None if ``decode`` refused it although it is JSON.
        in_bundle: whether it is the resource of an entry of a Bundle.
        uuid: the uuid of the entry's ``fullUrl``, if it is an ``urn:uuid:``.
    """

    line: int
    raw: bytes
    value: T | Malformed | None
    in_bundle: bool = False
    uuid: str | None = None


class _Head(msgspec.Struct, gc=False):
    resource_type: Raw = msgspec.field(default=Raw(b""), name="resourceType")


class _Bundle(msgspec.Struct, gc=False):
    entry: Raw = Raw(b"")


class _Entry(msgspec.Struct, gc=False):
    full_url: Raw = msgspec.field(default=Raw(b""), name="fullUrl")
    resource: Raw = Raw(b"")


_head = msgspec.json.Decoder(_Head).decode
_bundle = msgspec.json.Decoder(_Bundle).decode
_entry = msgspec.json.Decoder(_Entry).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_string = msgspec.json.Decoder(str).decode


def resource_type(raw: bytes) -> str | None:
    """The ``resourceType`` of a JSON text; None if it is no object or has no such string."""
    try:
        return _string(_head(raw).resource_type)
    except ValueError:
        return None


def is_utf8(raw: bytes) -> bool:
    """Whether the bytes are UTF-8. msgspec does not look, in what it skips."""
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_json(raw: bytes) -> bool:
    return is_value(raw) and is_utf8(raw)


def _is_resource_line(line: bytes) -> bool:
    if b'"resourceType"' not in line and b"\\u" not in line:
        return False
    try:
        return bytes(_head(line).resource_type) != b"" and _is_json(line)
    except ValueError:
        return False


class NoValue(Exception):
    """There is no JSON value here."""


class Scanner:
    """Reads JSON of any length strictly, a chunk at a time, from a place in a file."""

    def __init__(self, file: BinaryIO, offset: int = 0, line: int = 1):
        self._file = file
        self.seek(offset, line)

    def seek(self, offset: int, line: int) -> None:
        """Go to a place in the file, on this line."""
        self._file.seek(offset)
        self.window = Window(b"", line, self._file.read, _CHUNK)

    @property
    def offset(self) -> int:
        """Of the next byte, in the file."""
        return self._file.tell() - len(self.window.data) + self.window.position

    def peek(self) -> int:
        """The next byte that is no white space; -1 at the end of the file."""
        window = self.window
        while True:
            window.move(match_end(_SPACE, window.data, window.position))
            if window.position < len(window.data):
                return window.data[window.position]
            if not window.grow():
                return -1

    def find_end(self, limit: int) -> int:
        """Where in the window the next value ends; 0 if it is an object or array longer than ``limit`` bytes.

        Raises:
            NoValue: if there is none.
        """
        window = self.window
        first = self.peek()
        if first < 0:
            raise NoValue
        if first in b"{[":
            while (end := find_extent(window.data, window.position).end) < 0:
                if len(window.data) - window.position > limit:
                    return 0
                if not window.grow():
                    raise NoValue
            if end - window.position > limit:
                return 0
        else:
            end = self._find_end_of_scalar()
        if not _is_json(window.data[window.position : end]):
            raise NoValue
        return end

    def _find_end_of_scalar(self) -> int:
        window, more = self.window, True
        while True:
            match = _SCALAR.match(window.data, window.position)
            # A number may go on with three more bytes, as 1e+5 does.
            if match and (not more or match.end() + 3 <= len(window.data)):
                return match.end()
            longest = LIMITS.record_bytes if window.data[window.position] == ord('"') else 8
            if match is None and (not more or len(window.data) - window.position > longest):
                raise NoValue
            more = window.grow()

    def skip(self, depth: int = 0) -> None:
        """Go past a value of any length.

        Raises:
            NoValue: if there is none.
        """
        if end := self.find_end(_WHOLE):
            self.window.move(end)
        elif depth == MAX_DEPTH:
            raise NoValue
        else:
            for _ in self.elements() if self.peek() == ord("[") else self.members():
                self.skip(depth + 1)

    def elements(self) -> Iterator[None]:
        """Of an array: yields before each element, which the caller goes past.

        Raises:
            NoValue: if this is no array.
        """
        self._expect(b"[")
        if self.peek() == ord("]"):
            self._expect(b"]")
            return
        while True:
            yield
            if self._expect(b",]") == ord("]"):
                return

    def members(self) -> Iterator[bytes]:
        """Of an object: yields each key as JSON text, before its value, which the caller goes past.

        Raises:
            NoValue: if this is no object.
        """
        self._expect(b"{")
        if self.peek() == ord("}"):
            self._expect(b"}")
            return
        while True:
            if self.peek() != ord('"'):
                raise NoValue
            key = self.window.take(self.find_end(_WHOLE))
            self._expect(b":")
            yield key
            if self._expect(b",}") == ord("}"):
                return

    def _expect(self, characters: bytes) -> int:
        found = self.peek()
        if found < 0 or found not in characters:
            raise NoValue
        self.window.move(self.window.position + 1)
        return found


class FhirValues(Generic[T]):
    """The values of one upload; iterating gives a :class:`Value` for each.

    ``decode`` makes a value of the JSON text of a resource; it must raise ``ValueError`` or ``RecursionError`` for
    what it does not want, Bundles above all, and accept nothing but one complete JSON value.

    Attributes:
        bundles: Bundles opened so far.
        ignored_entries: their entries that held no resource of the wanted types.
    """

    def __init__(
        self, content: Content, decode: Callable[[bytes], T], wanted: Container[str], limits: Limits = LIMITS
    ):
        self._content, self._decode, self._wanted = content, decode, wanted
        self._limit = limits.record_bytes
        self.bundles = self.ignored_entries = 0

    def __iter__(self) -> Iterator[Value[T]]:
        """Raises:
        UnreadableUpload: if compressed data is damaged or a bomb.
        """
        readline = self._content.readline
        first, number = readline(self._limit + 1).removeprefix(BOM), 1
        while first and not first.strip(_BLANK):
            first, number = readline(self._limit + 1), number + 1
        # A value that is whole on its line is either all there is, or the first of the lines.
        if len(first) <= self._limit and _is_resource_line(first):
            yield from self._lines(readline, first, number)
            return
        with tempfile.TemporaryFile() as spool:
            has_resource_line = False
            spool.write(b"\n" * (number - 1))
            whole = True
            line = first
            while line:
                spool.write(line)
                ends = line.endswith(b"\n")
                if not has_resource_line and whole and (ends or len(line) <= self._limit):
                    has_resource_line = _is_resource_line(line)
                whole = ends
                line = readline(self._limit + 1)
            yield from self._spooled(spool, has_resource_line)

    # --- NDJSON

    def _lines(self, readline: Callable[[int], bytes], line: bytes, number: int) -> Iterator[Value[T]]:
        decode, limit = self._decode, self._limit
        while line:
            if len(line) > limit and not line.endswith(b"\n"):
                kept = line[:KEPT_BYTES]
                while line and not line.endswith(b"\n"):
                    line = readline(limit)
                yield Value(number, kept, self._too_long())
            elif not line.isascii() and not is_utf8(line):
                yield Value(number, line, Malformed("not UTF-8"))
            else:
                try:
                    value = decode(line)
                except (ValueError, RecursionError):
                    if line.strip(_BLANK):
                        yield from self._other(number, line)
                else:
                    # Only a longer line may be too deep, whatever it decodes to.
                    if len(line) > 2 * MAX_DEPTH and is_too_deep(line):
                        yield from self._other(number, line)
                    else:
                        yield Value(number, line, value)
            line = readline(limit + 1)
            number += 1

    # --- everything else

    def _spooled(self, spool: BinaryIO, has_resource_line: bool) -> Iterator[Value[T]]:
        if self._is_one_value(Scanner(spool)):
            scanner = Scanner(spool)
            if scanner.peek() == ord("["):
                for _ in scanner.elements():
                    yield from self._next_value(spool, scanner)
            else:
                yield from self._next_value(spool, scanner)
        elif has_resource_line:
            spool.seek(0)
            yield from self._lines(spool.readline, spool.readline(self._limit + 1), 1)
        else:
            scanner = Scanner(spool)
            while scanner.peek() >= 0:
                window = scanner.window
                line, kept = window.line, window.data[window.position : window.position + KEPT_BYTES]
                try:
                    yield from self._next_value(spool, scanner)
                except NoValue:
                    yield Value(line, kept, Malformed("no JSON value; what follows is not read"))
                    return

    @staticmethod
    def _is_one_value(scanner: Scanner) -> bool:
        if scanner.peek() < 0:
            return False
        try:
            scanner.skip()
        except NoValue:
            return False
        return scanner.peek() < 0

    def _next_value(self, spool: BinaryIO, scanner: Scanner) -> Iterator[Value[T]]:
        """The value at the scanner, or what is in it; goes past it."""
        scanner.peek()
        window = scanner.window
        line = window.line
        if end := scanner.find_end(self._limit):
            raw = window.take(end)
            try:
                value = self._decode(raw)
            except (ValueError, RecursionError):
                yield from self._other(line, raw)
            else:
                yield Value(line, raw, value)
            return
        kept = window.data[window.position : window.position + KEPT_BYTES]
        entries: tuple[int, int] | None = None
        type_: bytes = b""
        if scanner.peek() == ord("{"):
            for key in scanner.members():
                name = _string(key)
                first = scanner.peek()
                if name == "entry":
                    entries = (scanner.offset, window.line) if first == ord("[") else None
                if name == "resourceType":
                    begin = scanner.find_end(_WHOLE)
                    type_ = window.data[window.position : begin]
                scanner.skip()
        else:
            scanner.skip()
        if type_ != b'"Bundle"':
            yield Value(line, kept, self._too_long())
        else:
            self.bundles += 1
            after, after_line = scanner.offset, window.line
            if entries:
                yield from self._entries_in(spool, *entries)
            scanner.seek(after, after_line)

    def _entries_in(self, spool: BinaryIO, offset: int, line: int) -> Iterator[Value[T]]:
        """The resources of a Bundle that is too long to be in memory."""
        scanner = Scanner(spool, offset, line)
        for _ in scanner.elements():
            scanner.peek()
            line = scanner.window.line
            if end := scanner.find_end(self._limit):
                yield from self._resource_of(line, scanner.window.take(end))
            else:
                kept = scanner.window.rest[:KEPT_BYTES]
                scanner.skip()
                yield Value(line, kept, self._too_long(), True)

    # --- one value

    def _other(self, line: int, raw: bytes) -> Iterator[Value[T]]:
        """A text that ``decode`` refused."""
        if not _is_json(raw):
            yield Value(line, raw, Malformed(_why_malformed(raw)))
        elif resource_type(raw) != "Bundle":
            yield Value(line, raw, None)
        else:
            self.bundles += 1
            try:
                entries = _list(_bundle(raw).entry)
            except ValueError:
                return
            for entry in entries:
                yield from self._resource_of(line, entry)

    def _resource_of(self, line: int, entry: bytes) -> Iterator[Value[T]]:
        """The resource of an entry of a Bundle, if it is of a wanted type."""
        try:
            fields = _entry(entry)
        except ValueError:
            fields = _Entry()
        raw = bytes(fields.resource)
        if resource_type(raw) not in self._wanted:
            self.ignored_entries += 1
            return
        try:
            value = self._decode(raw)
        except (ValueError, RecursionError):
            value = None
        try:
            url = _string(fields.full_url)
        except ValueError:
            url = ""
        yield Value(line, raw, value, True, url.removeprefix(_URN) if url.startswith(_URN) else None)

    def _too_long(self) -> Malformed:
        return Malformed(f"longer than {self._limit} bytes, of which the first {KEPT_BYTES} are kept")


def _why_malformed(raw: bytes) -> str:
    try:
        msgspec.json.decode(raw, type=Raw)
    except (ValueError, RecursionError) as error:
        return str(error)
    return "not UTF-8" if not is_utf8(raw) else f"nested deeper than {MAX_DEPTH}"
