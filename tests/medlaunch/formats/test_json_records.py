"""Records out of whatever an upload may be: formats, damage, bounds."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.formats import Malformed
from medlaunch.formats.content import KEPT_BYTES, Limits, open_content
from medlaunch.formats.json_records import JsonRecords
from medlaunch.formats.json_scan import MAX_DEPTH, is_too_deep

_decode = msgspec.json.Decoder(dict).decode

BAD = "malformed"


def read(content: bytes, **limits: int) -> list[tuple[int, Any]]:
    """Line number and value of each piece; BAD for a piece that is no value."""
    bounds = Limits(**limits)
    reader = JsonRecords(open_content(io.BytesIO(content), bounds), _decode, bounds)
    return [(number, BAD if isinstance(value, Malformed) else value) for number, _, value in reader]


def pieces(content: bytes, **limits: int) -> list[bytes]:
    bounds = Limits(**limits)
    reader = JsonRecords(open_content(io.BytesIO(content), bounds), _decode, bounds)
    return [text.strip() for _, text, _ in reader]


A, B, C = {"a": 1}, {"b": [{"x": "}"}]}, {"c": "ü{["}
LINES = [json.dumps(one, ensure_ascii=False).encode() for one in (A, B, C)]
PRETTY = [json.dumps(one, ensure_ascii=False, indent=2).encode() for one in (A, B, C)]


@pytest.mark.parametrize(
    "content",
    [
        b"\n".join(LINES),
        b"\n".join(LINES) + b"\n",
        b"\r\n".join(LINES) + b"\r\n",
        b"\xef\xbb\xbf" + b"\n".join(LINES),
        b"\n \t\r\n\n".join(LINES) + b"\n\n",
        b"".join(LINES),
        b" ".join(LINES),
        LINES[0] + LINES[1] + b"\n" + LINES[2],
        b"[" + b",".join(LINES) + b"]",
        b" [" + b",".join(LINES) + b"] \n\n",
        b"[\n" + b",\n".join(LINES) + b"\n]\n",
        b"\xef\xbb\xbf[\r\n" + b",\r\n".join(LINES) + b"\r\n]\r\n",
        b"[\n" + b"\n,".join(LINES) + b",\n]",
        b"[" + LINES[0] + b",\n" + LINES[1] + b", " + LINES[2] + b"]",
        json.dumps([A, B, C], ensure_ascii=False, indent=4).encode(),
        json.dumps([A, B, C], ensure_ascii=False, indent=0).encode(),
        b"\n".join(PRETTY),
        b"".join(PRETTY),
        b"\n\n".join(PRETTY) + b"\n",
        PRETTY[0] + b"\n" + LINES[1] + b"\n" + PRETTY[2],
        LINES[0] + b"\n" + PRETTY[1] + b"\n" + LINES[2],
        b"\n".join([LINES[0], json.dumps(B, indent=0).encode(), LINES[2]]),
    ],
)
def test_every_accepted_format_gives_the_same_records(content: bytes) -> None:
    assert [value for _, value in read(content)] == [A, B, C]
    assert [value for _, value in read(gzip.compress(content))] == [A, B, C]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b" \t\r\n\n", b"\xef\xbb\xbf", b"[]", b"[ ]\n", b"[\n\n]\n\n"]
)
def test_nothing_is_no_line(content: bytes) -> None:
    assert read(content) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Line numbers are those of the file, wherever a value begins.
        (b'\n{"a":1}\n\n{"a":2}\n', [(2, {"a": 1}), (4, {"a": 2})]),
        (b'{"a":1}{"a":2}\n{"a":3}', [(1, {"a": 1}), (1, {"a": 2}), (2, {"a": 3})]),
        (b'\n[\n{"a":1},{"a":2},\n\n{\n"a":3}]', [(3, {"a": 1}), (3, {"a": 2}), (5, {"a": 3})]),
        (b'{\n"a":1\n}\n\n{\n"a":2}', [(1, {"a": 1}), (5, {"a": 2})]),
        (b'{"a":0}\n{\n"a":1\n}\n{"a":2}\n', [(1, {"a": 0}), (2, {"a": 1}), (5, {"a": 2})]),
        # A line that is no value stands alone.
        (b'{"a":1}\n{"a":\n{"a":2}\n', [(1, {"a": 1}), (2, BAD), (3, {"a": 2})]),
        (b'{"a":\n{"a":2}\n', [(1, BAD), (2, {"a": 2})]),
        (b'{"a":1}\n{"a":"x\n{"a":"y\n{"a":2}\n', [(1, {"a": 1}), (2, BAD), (3, BAD), (4, {"a": 2})]),
        (b'{"a":1}\n{"a":{\n{"b":[\n{"a":2}\n', [(1, {"a": 1}), (2, BAD), (3, BAD), (4, {"a": 2})]),
        (b'{"a":1}\n{"a":{\n}\n{"a":2}\n', [(1, {"a": 1}), (2, BAD), (3, BAD), (4, {"a": 2})]),
        (b'{"a":1}\n{"a":NaN}\n{"a":2,}\n{"a":3}', [(1, {"a": 1}), (2, BAD), (3, BAD), (4, {"a": 3})]),
        (b'garbage\nmore\n{"a":1}\n', [(1, BAD), (2, BAD), (3, {"a": 1})]),
        (b'{"a":1}\n{"a":2}}\n{"a":3} x\n{"a":4}\n', [(1, {"a": 1}), (2, BAD), (3, BAD), (4, {"a": 4})]),
        (b'{"a":1}\n{"a":2},\n{"a":3}\n', [(1, {"a": 1}), (2, BAD), (3, {"a": 3})]),
        (b'{"a":1}\n{"a":', [(1, {"a": 1}), (2, BAD)]),
        # JSON, but no object: the caller's matter.
        (b'[1]\n{"a":1}\n[2, 3]\n"s"\n5\n', [(1, None), (2, {"a": 1}), (3, None), (4, None), (5, None)]),
        (b'{"a":1}\n[{"a":2}]\n', [(1, {"a": 1}), (2, None)]),
        # In arrays and documents a bad value ends where its brackets do.
        (b'[{"a":1},{"a":NaN},{"a":2,},{"a":3}]', [(1, {"a": 1}), (1, BAD), (1, BAD), (1, {"a": 3})]),
        (b'[{"a":1}},{"a":2}]', [(1, {"a": 1}), (1, BAD), (1, {"a": 2})]),
        (b'[{"a":[1},{"a":2}]', [(1, BAD), (1, BAD)]),
        (b'[1, "x,]", null, {"a":2}]', [(1, BAD), (1, BAD), (1, BAD), (1, {"a": 2})]),
        (b'[{"a":"x\ny"},{"a":2}]', [(1, BAD), (2, {"a": 2})]),
        (b'[\n{"a":"x\n,"b":1},\n{"a":2}]', [(2, BAD), (4, {"a": 2})]),
        (b'[{"a":1},{"a":', [(1, {"a": 1}), (1, BAD)]),
        (b'[{"a":1},\n', [(1, {"a": 1}), (2, BAD)]),
        (b'[{"a":1}] x\n{"a":2}\n', [(1, {"a": 1}), (1, BAD), (2, {"a": 2})]),
        (b'[2026-11-01] a log line\n{"a":1}\n{"a":2}\n', [(1, BAD), (1, BAD), (2, {"a": 1}), (3, {"a": 2})]),
        (b'{\n"a":NaN\n}\n{\n"a":2\n}\n', [(1, BAD), (4, {"a": 2})]),
        (b'{\n"a":1\n}\n{\n"a":2,\n}\n{\n"a":3\n}', [(1, {"a": 1}), (4, BAD), (7, {"a": 3})]),
        (b'{\n"a":1\n}\n{\n"a":2', [(1, {"a": 1}), (4, BAD)]),
        (b'{\n"a":1\n}\nx, y\n{"a":3}', [(1, {"a": 1}), (4, BAD), (5, {"a": 3})]),
        (b'{\n"a":1\n} x, y {"a":3}', [(1, {"a": 1}), (3, BAD), (3, {"a": 3})]),
        # An end that never comes reaches to the next line that begins as a record does.
        (
            b'{\n  "a":1\n}\n{\n  "a":{\n    "b":1\n}\n{\n  "a":3\n}\n',
            [(1, {"a": 1}), (4, BAD), (8, {"a": 3})],
        ),
        (b'[\n {"a":1},\n {"a":{"b":2},\n {"a":3}\n]', [(2, {"a": 1}), (3, BAD), (4, {"a": 3})]),
    ],
)
def test_what_is_read_of_damaged_files(content: bytes, expected: list[tuple[int, Any]]) -> None:
    assert read(content) == expected


def test_a_truncated_line_does_not_end_the_reading_of_pretty_values_far_below() -> None:
    lines = [b'{"a": [\n{"b": [\n'] * 300 + [b'{"a": 1}\n'] * 8000
    content = b'{"a": 1}\n' + b"".join(lines) + PRETTY[1] + b"\n"
    found = read(content)
    assert [value for _, value in found].count(BAD) == 600
    assert [value for _, value in found].count(A) == 8001
    assert found[-1][1] == B


def test_ever_failing_looks_ahead_take_linear_time() -> None:
    # Each of these lines might begin a value that spans all that follow; the test's time limit is the check.
    content = b'{"a":1}\n' + b"{\n1,\n" * 30_000
    found = read(content)
    assert len(found) == 60_001
    content = b"{\n1}\n" + b"{\n[\n" * 30_000
    assert len(read(content)) >= 1


class Dribble(io.RawIOBase):
    """A stream that gives few bytes at a time, of changing number."""

    def __init__(self, data: bytes, sizes: list[int]):
        self._data, self._sizes, self._turn = io.BytesIO(data), sizes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._turn += 1
        return self._data.readinto(memoryview(buffer)[: self._sizes[self._turn % len(self._sizes)]])


_fragments = st.sampled_from(
    [
        *LINES,
        *PRETTY,
        b"\n",
        b"\r\n",
        b" ",
        b",",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\\",
        b"\xef\xbb\xbf",
        b"\xff",
        b"x",
        b'{"a":',
        b'{"a":"',
        b'{"a":NaN}',
        b'{\n "a":{\n',
        b"\n{",
        b"\n ]",
        b"1",
        b'"s"',
        b"[1]",
        b'{"a":1,}',
        b'\\"',
    ]
)
defective_files = st.lists(_fragments, max_size=25).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(defective_files, st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_how_the_bytes_arrive_changes_nothing(content: bytes, sizes: list[int]) -> None:
    expected = list(JsonRecords(open_content(io.BytesIO(content)), _decode))
    dribbled = open_content(io.BufferedReader(Dribble(content, sizes), 16))
    assert list(JsonRecords(dribbled, _decode)) == expected
    zipped = open_content(io.BytesIO(gzip.compress(content, 1)))
    assert list(JsonRecords(zipped, _decode)) == expected


@settings(max_examples=300, deadline=None)
@given(defective_files | st.binary(max_size=300))
def test_no_byte_that_says_something_is_lost(content: bytes) -> None:
    """What the pieces hold, together with separators, brackets of arrays and white space, is the file."""
    rest = content
    if content.startswith(b"\x1f\x8b"):
        return
    for piece in filter(None, pieces(content)):  # the end of an array that is missing has no text
        before, found, rest = rest.partition(piece)
        assert found == piece
        assert before.replace(b"\xef\xbb\xbf", b"").strip(b" \t\r\n\x0b\x0c,[]") == b""
    assert rest.replace(b"\xef\xbb\xbf", b"").strip(b" \t\r\n\x0b\x0c,[]") == b""


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5),
            st.recursive(
                st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
                ),
                max_leaves=8,
            ),
            max_size=4,
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([None, 0, 1, 2, "\t"]),
    st.booleans(),
)
def test_any_objects_come_back_from_any_format(
    records: list[dict[str, Any]], indent: Any, ascii_only: bool
) -> None:
    def dump(value: Any, **options: Any) -> bytes:
        return json.dumps(value, ensure_ascii=ascii_only, **options).encode()

    for content in (
        b"\n".join(dump(one) for one in records),
        b"".join(dump(one) for one in records),
        b"\n".join(dump(one, indent=indent) for one in records),
        b"".join(dump(one, indent=indent) for one in records),
        dump(records, indent=indent),
    ):
        assert [value for _, value in read(content)] == records


# --- bounds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b'{"a":1}\n'])
def test_a_record_of_the_limit_is_read_and_a_longer_one_is_malformed(before: bytes) -> None:
    fits = b'{"a":"' + b"x" * (1000 - 8) + b'"}'
    assert len(fits) == 1000
    after = b'\n{"a":2}\n'
    good = [value for _, value in read(before + fits + after, record_bytes=1000)]
    assert good[-2:] == [json.loads(fits), {"a": 2}]
    too_long = fits.replace(b"x", b"xx", 1)
    assert [value for _, value in read(before + too_long + after, record_bytes=1000)][-2:] == [BAD, {"a": 2}]
    assert [v for _, v in read(before + b"x" * 5000 + after, record_bytes=1000)][-2:] == [BAD, {"a": 2}]


@pytest.mark.parametrize("wrap", [b"[%b,{}]", b"[\n%b\n,\n{}]", b"{\n}\n%b\n{}"])
def test_a_record_that_is_too_long_does_not_harm_the_next(wrap: bytes) -> None:
    long = b'{"a":[' + b'{"s":"}\\"{]"},' * 100_000 + b"{}]}"
    found = read(wrap % long, record_bytes=1000)
    assert [value for _, value in found][-2:] == [BAD, {}]
    assert len(found) <= 3


def test_of_a_long_record_a_bounded_beginning_is_kept_and_it_is_said_so() -> None:
    content = open_content(io.BytesIO(b'{"a":1}\n{"a":"' + b"x" * 20_000_000))
    _, (number, text, value) = JsonRecords(content, _decode)
    assert number == 2
    assert text == b'{"a":"' + b"x" * (KEPT_BYTES - 6)
    assert isinstance(value, Malformed)
    assert "16777216 bytes" in value.note


class Endless(io.RawIOBase):
    """So many bytes, made as they are read."""

    def __init__(self, unit: bytes, times: int):
        self._left, self._block = len(unit) * times, unit * (1 + 2**20 // len(unit))
        self._at, self._unit = 0, len(unit)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        start = self._at % self._unit
        size = min(len(buffer), self._left, len(self._block) - start)
        buffer[:size] = self._block[start : start + size]
        self._at += size
        self._left -= size
        return size


@pytest.mark.parametrize(
    ("head", "unit", "times", "lines"),
    [
        (b"", b'{"a":"' + b"x" * 300 + b'"}\n', 100_000, 100_000),
        (b"", b'{"a":"' + b"x" * 300 + b'"}', 100_000, 100_000),
        (b"[", b'{"a":"' + b"x" * 300 + b'"},', 100_000, 100_001),  # and the array does not end
        (b"", b"x" * 1000, 30_000, 1),
        (b'{"a":"', b"x" * 1000, 30_000, 1),
        (b"[[[[", b"[" * 1000, 30_000, 1),
    ],
)
def test_memory_does_not_grow_with_the_file(head: bytes, unit: bytes, times: int, lines: int) -> None:
    stream = io.BufferedReader(_Chain(head, Endless(unit, times)))
    tracemalloc.start()
    try:
        count = sum(
            1 for _ in JsonRecords(open_content(stream, Limits(1_000_000)), _decode, Limits(1_000_000))
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == lines
    assert peak < 16_000_000  # of 30 to 60 MB


class _Chain(io.RawIOBase):
    def __init__(self, head: bytes, tail: io.RawIOBase):
        self._head, self._tail = io.BytesIO(head), tail

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._head.readinto(buffer) or self._tail.readinto(buffer) or 0


def test_nesting_is_limited_at_a_fixed_depth() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    assert not is_too_deep(nested(MAX_DEPTH))
    assert is_too_deep(nested(MAX_DEPTH + 1))
    assert not is_too_deep(b'{"a":"' + b"[" * 5000 + b'"}')
    assert not is_too_deep(b"[" + b"[]," * 5000 + b"[]]")
    for depth, bad in ((MAX_DEPTH, False), (MAX_DEPTH + 1, True), (100_000, True)):
        values = [value for _, value in read(b'{"a":1}\n' + nested(depth) + b'\n{"a":2}\n')]
        assert (values[1] == BAD) is bad
        assert values[2] == {"a": 2}
