"""Parts of an upload give what one reader gives, wherever it is cut."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medlaunch.formats import Malformed, json_records
from medlaunch.formats.content import DEFAULT_LIMITS, is_compressed, open_plain
from medlaunch.formats.csv_records import CSV_LIMITS, CsvRecords
from medlaunch.formats.json_records import JsonRecords
from medlaunch.formats.ranges import (
    Part,
    count_line_feeds,
    csv_start,
    cut_csv,
    cut_json,
    first_lines,
    json_start,
)

_decode_json = msgspec.json.Decoder(dict).decode
WIDTH = 5
HEADER = b"a,b,c,d,e\n"
LIMITS = CSV_LIMITS._replace(record_bytes=200)


class Upload:
    """Bytes that are opened at an offset."""

    def __init__(self, data: bytes):
        self.data = data

    def __call__(self, offset: int) -> BinaryIO:
        return io.BytesIO(self.data[offset:])

    def lines_of(self, parts: list[Part]) -> list[int]:
        return first_lines([count_line_feeds(io.BytesIO(self.data[one.start : one.end])) for one in parts])


def read_csv(upload: Upload, parts: list[Part], header: int = len(HEADER)) -> tuple[list[Any], int]:
    """The items of all parts, and the repaired lines; each later part comes after the header."""
    items: list[Any] = []
    repaired = 0
    for part, line in zip(parts, upload.lines_of(parts), strict=True):
        again = upload.data[:header] if part.start else b""
        content = open_plain(io.BytesIO(again + upload.data[part.start : part.end]))
        reader = CsvRecords(content, LIMITS, is_part=True)
        found = reader.read_header({}, [])
        if part.start:
            reader.begin_at(found, line)
        items += reader.items(list)
        repaired += reader.repaired_lines
    return items, repaired


def read_json(upload: Upload, parts: list[Part]) -> list[Any]:
    """The items of all parts."""
    items: list[Any] = []
    for part, line in zip(parts, upload.lines_of(parts), strict=True):
        reader = JsonRecords(
            open_plain(io.BytesIO(upload.data[part.start : part.end])), _decode_json, DEFAULT_LIMITS
        )
        if part.start:
            reader.begin_at(line)
        items += reader
    return items


def line_starts(data: bytes, begin: int) -> Iterator[int]:
    """Where lines begin, from an offset on."""
    at = begin
    while 0 < (at := data.find(b"\n", at) + 1) < len(data):
        yield at


def lines_from(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    for line in io.BytesIO(data[offset:]).readlines():
        yield offset, line
        offset += len(line)


# --- CSV -------------------------------------------------------------------------------------------

_csv_pieces = st.sampled_from(
    [
        b"1,b,c,d,e\n",
        b'2,"b, c",c,d,"e"\r\n',
        b'3,"b\nb",c,d,"e\r\n"\r\n',
        b'4,"b\n1,b,c,d,e\n",c,d,e\n',  # a record in a text
        b'5,"b\nx\n\nx,y\n",c,d,e\n',
        b'6,"b,c,d,e\n',  # a quote that does not end
        b'7,b",c,d,e\n',
        b'8" pipe,b,c,d,e\n',
        "9,ü,é,d,e\n".encode(),
        b"10,\xfc\x92,c,d,e\n",
        b'11,"\xc3\n\xa9",c,d,e\n',
        b"x" * 250 + b",,,,\n",
        b'12,"' + b"x" * 250 + b'\n",c,d,e\n',
        b"\r",
        b"\n",
        b",,,,\n",
        b"too,few\n",
        b'"',
        b",",
    ]
)
csv_files = st.lists(_csv_pieces, max_size=12).map(lambda pieces: HEADER + b"".join(pieces))


@settings(max_examples=300, deadline=None)
@given(csv_files)
def test_a_csv_file_may_be_cut_wherever_a_line_proves_it(data: bytes) -> None:
    upload = Upload(data)
    whole = read_csv(upload, [Part(0, len(data))])
    cuts = [
        start
        for start in line_starts(data, 0)
        if csv_start([next(lines_from(data, start))], WIDTH) is not None
    ]
    for start in cuts:
        assert read_csv(upload, [Part(0, start), Part(start, len(data))]) == whole
    all_cuts = [0, *cuts, len(data)]
    assert read_csv(upload, [Part(*one) for one in pairwise(all_cuts)]) == whole


@settings(max_examples=200, deadline=None)
@given(csv_files, st.integers(2, 40))
def test_parts_of_a_csv_file_give_the_whole(data: bytes, parts: int) -> None:
    upload = Upload(data)
    found, header = cut_csv(upload, len(data), parts, LIMITS)
    assert header == len(HEADER)
    assert (found[0].start, found[-1].end) == (0, len(data))
    assert all(one.end == two.start for one, two in pairwise(found))
    assert read_csv(upload, found) == read_csv(upload, [Part(0, len(data))])


def test_every_offset_of_a_file_leads_to_a_line_that_proves_it() -> None:
    good = b"1,b,c,d,e\n"
    text = b'2,"\xc3\xa9\r\n' + b"note\n" * 3 + b'end",c,d,e\r\n'
    data = HEADER + (good + text) * 3
    upload = Upload(data)
    starts = {one.start for parts in range(2, 150) for one in cut_csv(upload, len(data), parts)[0]}
    assert starts == {0, *(at for at in line_starts(data, 0) if data[at:].startswith(good))}


def test_a_header_is_not_cut_and_a_narrow_file_is_not_either() -> None:
    data = b'"a\n1,b,c,d,e\n",b,c,d,e\n' + b"1,b,c,d,e\n" * 3
    upload = Upload(data)
    found, header = cut_csv(upload, len(data), 50)
    assert (header, {one.start for one in found}) == (23, {0, 23, 33, 43})
    narrow = Upload(b"a,b\n" + b"1,2\n" * 100)
    assert cut_csv(narrow, 404, 4) == ([Part(0, 404)], 4)


# --- JSON ------------------------------------------------------------------------------------------

_json_pieces = st.sampled_from(
    [
        b'{"a":1}\n',
        b'{"b":{"c":[]}}\r\n',
        b'{"a":"\xc3\xa9"}\n',
        b'{"a":\n1}\n',
        b'{"a":[\n{"b":1}\n]}\n',
        b'{"a":[\n{"b":1},\n{"b":2}\n]} {"c":[\n',
        b'{"a":{\n',
        b'{"a":"x\n',
        b"]}\n",
        b"}{\n",
        b'"s"\n',
        b"[1]\n",
        b'{"a":1}{"b":2}\n',
        b'{"a":1} {\n',
        b"nonsense\n",
        b"\n",
        b" ",
        b'{"long":"' + b"x" * 50 + b'"}\n',
    ]
)
json_files = st.lists(_json_pieces, max_size=25).map(lambda pieces: b'{"first":0}\n' + b"".join(pieces))


@settings(max_examples=500, deadline=None)
@given(json_files, st.sampled_from([10, 30, 100]), st.sampled_from([0, 15, 60, 1000]))
# A value over lines that begins where another one ends.
@example(b'{"first":0}\n{"a":[\n' + b" " * 15 + b']} {"c":[' + b" " * 5 + b"\n1\n]}\n", 30, 1000)
def test_json_lines_may_be_cut_wherever_a_line_proves_it(data: bytes, look_ahead: int, in_vain: int) -> None:
    upload = Upload(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_records, "LOOK_AHEAD", look_ahead)
        patch.setattr(json_records, "IN_VAIN", in_vain)
        whole = read_json(upload, [Part(0, len(data))])
        cuts = {json_start(lines_from(data, start)) for start in line_starts(data, 0)} - {None}
        for start in cuts:
            assert start is not None
            assert read_json(upload, [Part(0, start), Part(start, len(data))]) == whole
        all_cuts = [0, *sorted(one for one in cuts if one is not None), len(data)]
        assert read_json(upload, [Part(*one) for one in pairwise(all_cuts)]) == whole


@settings(max_examples=200, deadline=None)
@given(json_files, st.integers(2, 30))
def test_parts_of_json_lines_give_the_whole(data: bytes, parts: int) -> None:
    upload = Upload(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_records, "LOOK_AHEAD", 20)
        found = cut_json(upload, len(data), parts)
        assert (found[0].start, found[-1].end) == (0, len(data))
        assert read_json(upload, found) == read_json(upload, [Part(0, len(data))])


def test_a_large_file_of_good_and_bad_lines_has_all_its_parts() -> None:
    lines = [json.dumps({"a": number, "b": "x" * 500}).encode() + b"\n" for number in range(4000)]
    for number in range(50, 4000, 97):
        lines[number] = lines[number][:200] + b"\n"  # cut off
    data = b"".join(lines)
    upload = Upload(data)
    parts = cut_json(upload, len(data), 4)
    assert len(parts) == 4
    assert all(abs(one.end - one.start - len(data) / 4) < 100_000 for one in parts)
    assert read_json(upload, parts) == read_json(upload, [Part(0, len(data))])


@pytest.mark.parametrize(
    "data",
    [
        b'[{"a":1},\n' + b'{"a":2},\n' * 20_000,
        b'\n{\n"a":1\n}\n' * 20_000,
        b'"s"\n' + b'{"a":2}\n' * 20_000,
        b"\n\n",
    ],
)
def test_other_json_is_one_part(data: bytes) -> None:
    assert cut_json(Upload(data), len(data), 4) == [Part(0, len(data))]


def test_nonsense_before_a_cut_changes_nothing_after_it() -> None:
    nonsense = b"{\n1,\n" * 30_000
    spanning = b'{"a":\n1}\n'
    data = b'{"a":1}\n' + nonsense + spanning + b'{"a":1}\n' * 50_000 + spanning
    upload = Upload(data)
    found = cut_json(upload, len(data), 10)
    assert len(found) == 5
    items = read_json(upload, found)
    assert items == read_json(upload, [Part(0, len(data))])
    values = [value for _, _, value in items]
    assert sum(isinstance(value, Malformed) for value in values) == 60_002
    assert values[-1] == {"a": 1}


def test_what_is_compressed_is_not_cut() -> None:
    assert [is_compressed(head) for head in (b"\x1f\x8b\x08\0", b"PK\x03\x04", b"a,b\n", b"PK,b")] == [
        True,
        True,
        False,
        False,
    ]
