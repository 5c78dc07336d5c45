"""CSV records: RFC 4180, encodings, damage, headers, bounds; against the csv module and a model of the rules."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.formats import Malformed
from medlaunch.formats.content import KEPT_BYTES, UnreadableUpload, open_content
from medlaunch.formats.csv_records import (
    CSV_LIMITS,
    CsvRecords,
    decode_line,
    find_columns,
    split_fields,
)

BAD = "malformed"


class Read(NamedTuple):
    items: list[tuple[int, Any]]
    raw: list[bytes]
    repaired: int


def read(
    data: bytes, *, width: int = 3, record_bytes: int = CSV_LIMITS.record_bytes, header: bool = True
) -> Read:
    """Line number and fields of each record, BAD for a malformed one; below a header of ``width`` columns."""
    names = [f"c{number}" for number in range(width)]
    if header:
        data = ",".join(names).encode() + b"\n" + data
    reader = CsvRecords(open_content(io.BytesIO(data)), CSV_LIMITS._replace(record_bytes=record_bytes))
    reader.read_header({name: (name,) for name in names}, names)
    try:
        items = list(reader.items(list))
    except UnreadableUpload as error:
        assert error.reason == "empty_file"  # noqa: PT017 - both outcomes are right
        items = []
    return Read(
        [(number, BAD if isinstance(value, Malformed) else value) for number, _, value in items],
        [raw for _, raw, _ in items],
        reader.repaired_lines,
    )


# --- records ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b,c\nd,e,f", [(2, ["a", "b", "c"]), (3, ["d", "e", "f"])]),
        (b'a,b,c\r\n"d",e,"f"\r\n', [(2, ["a", "b", "c"]), (3, ["d", "e", "f"])]),
        (b'"a, b","say ""hi""",\\"\nx,\\,\\n\n', [(2, ["a, b", 'say "hi"', '\\"']), (3, ["x", "\\", "\\n"])]),
        (b'"a\nb","c\r\nd",e\nf,g,h\n', [(2, ["a\nb", "c\r\nd", "e"]), (5, ["f", "g", "h"])]),
        (b'a,b,"c\n\n\n"\nd,e,f\n', [(2, ["a", "b", "c\n\n\n"]), (6, ["d", "e", "f"])]),
        (b'"",,""\n\n , ,\n,,\n  \r\na,,\n\n,,,,,\n', [(7, ["a", "", ""])]),
        (b"a\rb,c,d\r\n", [(2, ["a\rb", "c", "d"])]),
        (b'"a"\rb,c,d\n"e\rf",g,h\n', [(2, ["a\rb", "c", "d"]), (3, ["e\rf", "g", "h"])]),
        (b"a,b,c\r\r\n", [(2, ["a", "b", "c"])]),
        (b"a,b\nc,d,e,f\ng,h,i\n", [(2, BAD), (3, BAD), (4, ["g", "h", "i"])]),
        (b"a,\x00,c\n", [(2, ["a", "\x00", "c"])]),
        # Where the RFC is broken, as the csv module reads it.
        (b'6" pipe,"b"x,c\n"a" b "c",d,e\n', [(2, ['6" pipe', "bx", "c"]), (3, ['a b "c"', "d", "e"])]),
        (b'a, "b",c\n', [(2, ["a", ' "b"', "c"])]),
        # A quote that does not end stands alone.
        (b'a,"b,c\nd,e,f\ng,h,i\n', [(2, BAD), (3, ["d", "e", "f"]), (4, ["g", "h", "i"])]),
        (b'a,"b,c\n"d",e,"f"\ng,h,i\n', [(2, BAD), (3, ["d", "e", "f"]), (4, ["g", "h", "i"])]),
        (b'a,"b,c\nd,"e,f\ng,"h",i\n', [(2, BAD), (3, BAD), (4, ["g", "h", "i"])]),
        (b'a,b,"c', [(2, BAD)]),
        (b'a,b,"c\n', [(2, BAD)]),
        (b'a"",b"x,"c\nd,e,f"\n', [(2, BAD), (3, ["d", "e", 'f"'])]),
        # One with the wrong number of fields is one record.
        (b'"a\nb",c\nd,e,f\n', [(2, BAD), (4, ["d", "e", "f"])]),
    ],
)
def test_what_is_read(data: bytes, expected: list[tuple[int, Any]]) -> None:
    assert read(data).items == expected


def test_a_line_that_is_a_record_shows_that_the_quote_before_it_never_ended() -> None:
    good = b"".join(b"%d,b,c,d,e\n" % number for number in range(100))
    damaged = b'1,"b,c,d,e\n' + good + b'x",b,c,d,e\n'
    found = read(damaged, width=5).items
    assert [value for _, value in found[1:101]] == [[str(number), *"bcde"] for number in range(100)]
    assert found[0] == (2, BAD)
    # A text of lines that are none is one field, also of many lines and with commas.
    text = b'1,"b\n' + b"a note, and more\n" * 100 + b'end",c,d,e\n'
    assert [number for number, _ in read(text + good, width=5).items] == [2, *range(104, 204)]


def test_a_record_of_the_limit_is_read_and_a_longer_one_is_malformed() -> None:
    fits = b"a,b," + b"x" * 995 + b"\n"
    quoted = b'a,b,"x\n' + b"x" * 991 + b'"\n'
    assert len(fits) == len(quoted) == 1000
    for line in (fits, quoted):
        longer = line.replace(b"x", b"xx", 1)
        assert [value for _, value in read(line + b"d,e,f\n", record_bytes=1000).items][1:] == [
            ["d", "e", "f"]
        ]
        assert BAD not in [value for _, value in read(line, record_bytes=1000).items]
        found = read(longer + b"d,e,f\n", record_bytes=999).items
        assert found[0] == (2, BAD)
        assert found[-1] == (4 if b'"' in line else 3, ["d", "e", "f"])


def test_of_a_long_record_a_bounded_beginning_is_kept_and_it_is_said_so() -> None:
    reader = CsvRecords(open_content(io.BytesIO(b"a,b\n1," + b"x" * 1_000_000 + b"\n2,3\n")))
    reader.read_header({}, [])
    (number, raw, value), after = reader.items(list)
    assert (number, raw) == (2, b"1," + b"x" * (KEPT_BYTES - 2))
    assert isinstance(value, Malformed)
    assert "longer than 262144 bytes" in value.note
    assert after == (3, b"2,3\n", ["2", "3"])


def test_what_decode_refuses_is_none() -> None:
    reader = CsvRecords(open_content(io.BytesIO(b'a\n1\n"x"\n"2\n"\n')))
    reader.read_header({}, [])
    assert [value for _, _, value in reader.items(lambda fields: int(fields[0]))] == [1, None, 2]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b" , \r\n"])
def test_a_file_without_a_header_is_empty(data: bytes) -> None:
    with pytest.raises(UnreadableUpload, match="there is no header") as raised:
        CsvRecords(open_content(io.BytesIO(data))).read_header({}, [])
    assert raised.value.reason == "empty_file"


@pytest.mark.parametrize("data", [b"a,b", b"\n\na,b\n\n,\n"])
def test_a_file_without_a_record_is_empty(data: bytes) -> None:
    reader = CsvRecords(open_content(io.BytesIO(data)))
    assert reader.read_header({}, []).width == 2
    with pytest.raises(UnreadableUpload, match="a header and no record") as raised:
        list(reader.items(list))
    assert raised.value.reason == "empty_file"


# --- encodings -------------------------------------------------------------------------------------


def test_each_line_has_its_own_encoding_and_none_loses_a_byte() -> None:
    found = read(
        "Peña,b,c\n".encode() + b"Pe\xf1a\x92s,\x81\x8d\x8f\x90\x9d,\x80\n" + b'"\x92\nPe\xc3\xb1a",b,c\n'
    )
    assert found.items == [
        (2, ["Peña", "b", "c"]),
        (3, ["Peña\u2019s", "\x81\x8d\x8f\x90\x9d", "€"]),
        (4, ["\u2019\nPeña", "b", "c"]),
    ]
    assert found.repaired == 2


def test_every_byte_is_a_character() -> None:
    table = bytes(range(128, 256))
    text = decode_line(table)
    assert len(set(text)) == 128
    for byte, character in zip(table, text, strict=True):
        undefined = byte in b"\x81\x8d\x8f\x90\x9d"
        assert character == (chr(byte) if undefined else bytes([byte]).decode("cp1252"))


def test_one_byte_order_mark_is_dropped() -> None:
    reader = CsvRecords(open_content(io.BytesIO(b'\xef\xbb\xbf"a",b\n\xef\xbb\xbf1,2\n')))
    assert reader.read_header({"a": ["a"]}, ["a"]).positions == {"a": 0}
    assert [value for _, _, value in reader.items(list)] == [["\ufeff1", "2"]]


def test_lines_that_were_looked_at_in_vain_are_counted_once() -> None:
    assert read(b'a,"b\x92,c\nd,\x92e,f\ng,h,i\x92\n').repaired == 3


# --- headers ---------------------------------------------------------------------------------------

ALIASES = {
    "provnum": ("ccn",),
    "federalprovidernumber": ("ccn",),
    "hrsrndon": ("rndon",),
    "hrsrndonadmin": ("rndon", "medaide_ctr"),
    "hrsmedaidectr": ("medaide_ctr",),
    "state": ("state",),
}


@pytest.mark.parametrize(
    ("names", "positions"),
    [
        (["PROVNUM", "Hrs_RNDON", "hrs_MedAide_ctr"], {"ccn": 0, "rndon": 1, "medaide_ctr": 2}),
        (["hrs_rn_donadmin", "provnum", "hrs_medaide_ctr"], {"ccn": 1, "rndon": 0, "medaide_ctr": 2}),
        (["provnum", "hrs_rndon", "hrs_rn_donadmin"], {"ccn": 0, "rndon": 1, "medaide_ctr": 2}),
        (["hrs_rn_donadmin", "provnum", "hrs_rndon"], {"ccn": 1, "rndon": 2, "medaide_ctr": 0}),
        ([" Federal Provider  Number ", "HRS RN.DON-admin"], {"ccn": 0, "rndon": 1}),
    ],
)
def test_columns_are_found_by_their_names(names: list[str], positions: dict[str, int]) -> None:
    header = find_columns([*names, "incomplete", "", " Incomplete "], ALIASES, ["ccn", "rndon"])
    assert header.positions == positions
    assert header.unknown == ["incomplete", "Incomplete"]
    assert header.width == len(names) + 3


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["provnum", "hrs_rn_donadmin", "hrs_rndon", "hrs_medaide_ctr"], "header_duplicate_column:rndon"),
        (["provnum", "State", "rndon", "STATE", "hrsrndon"], "header_duplicate_column:state"),
        (["provnum", "federal provider number", "hrsrndon"], "header_duplicate_column:ccn"),
        (["hrsrndon", "state", "state"], "header_missing_column:ccn"),
        (["state"], "header_missing_column:ccn"),
        (["PK\x03\x04"], "header_missing_column:ccn"),
    ],
)
def test_headers_that_cannot_be_used(names: list[str], reason: str) -> None:
    with pytest.raises(UnreadableUpload) as raised:
        find_columns(names, ALIASES, ["ccn", "rndon"])
    assert raised.value.reason == reason
    assert names[0] in raised.value.detail


def test_fields_are_picked_by_name_and_what_is_not_there_is_blank() -> None:
    header = find_columns(["x", "state", "provnum"], ALIASES, [])
    assert header.getter(["ccn", "state"])(["1", "MI", "015009"]) == ("015009", "MI")
    assert header.getter(["ccn", "rndon", "state"])(["1", "MI", "015009"]) == ("015009", "", "MI")


def test_a_header_may_be_quoted_and_span_lines() -> None:
    reader = CsvRecords(open_content(io.BytesIO(b'\n"prov\nnum",state\r\n015009,MI\n')))
    assert reader.read_header(ALIASES, ["ccn", "state"]).positions == {"ccn": 0, "state": 1}
    assert list(reader.items(list)) == [(4, b"015009,MI\n", ["015009", "MI"])]


# --- any file --------------------------------------------------------------------------------------

_texts = st.text(st.sampled_from('ab,"\n\r\\ é’€\x81\x00\u2028'), max_size=6)


@st.composite
def rfc_files(draw: st.DrawFn) -> tuple[int, bytes, list[tuple[int, list[str]]], int]:
    """Width, a file of the RFC, its records with their line numbers, and how many lines are not UTF-8."""
    width = draw(st.integers(1, 4))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    lines: list[bytes] = []
    records = []
    repaired = 0
    rows = draw(st.lists(st.lists(_texts, min_size=width, max_size=width), max_size=8))
    for row in rows:
        text = ",".join(
            '"' + field.replace('"', '""') + '"'
            if re.search('[,"\n\r]', field) or draw(st.booleans())
            else field
            for field in row
        )
        if any(field.strip() for field in row):
            records.append((len(lines) + 2, row))
        for line in re.findall("[^\n]*\n", text + end):
            encoded = line.encode()
            if draw(st.booleans()):
                other = _windows_1252(line)
                if other is not None and not _is_utf8(other):
                    encoded = other
                    repaired += 1
            lines.append(encoded)
    data = b"".join(lines)
    if draw(st.booleans()):
        data = data.removesuffix(end.encode())
    return width, data, records, repaired


def _windows_1252(text: str) -> bytes | None:
    try:
        return b"".join(one.encode("latin-1" if one in "\x81\x8d\x8f\x90\x9d" else "cp1252") for one in text)
    except UnicodeEncodeError:
        return None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(rfc_files())
def test_files_of_the_rfc_give_what_was_written(
    file: tuple[int, bytes, list[tuple[int, list[str]]], int],
) -> None:
    width, data, records, repaired = file
    found = read(data, width=width)
    assert found.items == records
    assert found.repaired == repaired
    text = io.StringIO("".join(map(decode_line, re.findall(b"[^\n]*\n|[^\n]+$", data))), newline="")
    by_csv = [row for row in csv.reader(text) if any(field.strip() for field in row)]
    assert by_csv == [row for _, row in records]


def fields_by_csv(text: str) -> tuple[list[str], bool]:
    """The fields of one line as the csv module reads them, and whether it asks for another line."""
    asked = False

    def lines() -> Any:
        nonlocal asked
        yield text.rstrip("\r\n").replace("\r", "\ue000") + "\n"
        asked = True

    rows = csv.reader(lines())
    fields = next(rows, [])
    return [field.replace("\ue000", "\r") for field in fields] or [""], asked


def is_rfc(text: str) -> bool:
    """Whether a text is one record of the RFC, character by character."""
    state = "start"
    for one in text.rstrip("\r\n"):
        match state, one:
            case (("start" | "text" | "end"), ","):
                state = "start"
            case "start", '"':
                state = "quoted"
            case "quoted", '"':
                state = "end"
            case "end", '"':
                state = "quoted"
            case "quoted", _:
                pass
            case (("start" | "text"), one) if one not in '"\n':
                state = "text"
            case _:
                return False
    return state != "quoted"


def model(data: bytes, width: int, record_bytes: int) -> list[tuple[int, Any]]:
    """What the module's docstring says, without a thought of speed."""
    lines = [decode_line(line) for line in re.findall(b"[^\n]*\n|[^\n]+$", data)]
    sizes = [len(line) for line in re.findall(b"[^\n]*\n|[^\n]+$", data)]
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(lines):
        fields, is_open = fields_by_csv(lines[at])
        until = at + 1
        value: Any = fields
        if is_open:
            value = BAD
            for end in count(at + 2):
                text = "".join(lines[at:end])
                within = [fields_by_csv(line) for line in lines[at + 1 : end - 1]]
                tells = width >= 5 and any(not more and len(one) == width for one, more in within)
                if end > len(lines) or sum(sizes[at:end]) > record_bytes or tells:
                    break
                if is_rfc(text):
                    value, until = split_fields(text.rstrip("\r\n"))[0], end
                    break
        if value == BAD or any(field.strip() for field in value):
            found.append((at + 2, value if value != BAD and len(value) == width else BAD))
        at = until
    return found


_pieces = st.sampled_from(
    [
        "a",
        "b",
        ",",
        ",",
        ",",
        '"',
        '"',
        '""',
        '","',
        "\n",
        "\n",
        "\r\n",
        "\r",
        "é",
        " ",
        '"a"',
        ",,,,",
        "a,b,c,d,e\n",
    ]
)
_files = st.lists(_pieces, max_size=40).map(lambda pieces: "".join(pieces).encode()) | st.binary(max_size=60)


@settings(max_examples=500, deadline=None)
@given(_files, st.sampled_from([1, 2, 3, 5, 6]), st.sampled_from([12, 1000]))
def test_any_bytes_are_read_as_the_rules_say(data: bytes, width: int, record_bytes: int) -> None:
    if data.startswith((b"\x1f\x8b", b"\xef\xbb\xbf")):
        return
    if any(len(line) > record_bytes for line in data.split(b"\n")):
        record_bytes = 1000
    found = read(data, width=width, record_bytes=max(record_bytes, 3 * width))
    assert found.items == model(data, width, max(record_bytes, 3 * width))


@settings(max_examples=300, deadline=None)
@given(_files)
def test_every_line_is_in_one_record_or_blank(data: bytes) -> None:
    if data.startswith(b"\x1f\x8b"):
        return
    lines = re.findall(b"[^\n]*\n|[^\n]+$", b"x,y,z\n" + data)
    found = read(data)
    for (number, _), raw in zip(found.items, found.raw, strict=True):
        length = len(re.findall(b"[^\n]*\n|[^\n]+$", raw))
        assert raw == b"".join(lines[number - 1 : number - 1 + length])
        lines[number - 1 : number - 1 + length] = [b""] * length
    # What is in none is blank, maybe over lines.
    assert re.fullmatch(
        rb'[\s,"\x00-\x20\x85\xa0\xc2\xe2\x80-\x9f\xa0-\xaf\xe1\x9a\xe3]*', b"".join(lines[1:])
    )


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('ab,"\r é'), max_size=20))
def test_fields_of_a_line_are_those_of_the_csv_module(text: str) -> None:
    text = text.rstrip("\r\n")
    fields, is_open = fields_by_csv(text)
    assert split_fields(text)[1] == is_open
    if not is_open:
        assert split_fields(text)[0] == fields


# --- bounds ----------------------------------------------------------------------------------------


class Counting(CsvRecords):
    """Counts the lines that are read, also those that are read again after a look ahead."""

    lines = 0

    def _next_line(self) -> bytes:
        self.lines += 1
        return super()._next_line()

    def _record(self, line: bytes) -> Any:
        self.lines += 1
        return super()._record(line)


@pytest.mark.parametrize(
    "unit",
    [
        b'a,"b,c\n',
        b'a"",b"",",c\n',
        b'a",b"","c\n',
        b'"""\n',
        b'"\n""\n',
        b'a,"\n' + b"x\n" * 2000,
        b'a,"b\n' + b'""\n' * 50,
    ],
)
def test_no_line_is_looked_at_again_and_again(unit: bytes) -> None:
    data = b"a,b\n" + unit * (40_000 // len(unit))
    reader = Counting(open_content(io.BytesIO(data)))
    reader.read_header({}, [])
    assert all(isinstance(value, Malformed | list) for _, _, value in reader.items(list))
    assert reader.lines <= 3 * data.count(b"\n")


class Endless(io.RawIOBase):
    """So many bytes, made as they are read."""

    def __init__(self, head: bytes, unit: bytes, times: int):
        self._head, self._unit, self._left = head, unit * (1 + 2**18 // len(unit)), len(unit) * times
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._head:
            size = min(len(buffer), len(self._head))
            buffer[:size], self._head = self._head[:size], self._head[size:]
            return size
        size = min(len(buffer), self._left, len(self._unit) - self._at)
        buffer[:size] = self._unit[self._at : self._at + size]
        self._at = (self._at + size) % len(self._unit)
        self._left -= size
        return size


@pytest.mark.parametrize(
    ("unit", "times", "records", "limit"),
    [
        (b'015009,"BURNS, INC.",' + b"x" * 100 + b"\n", 30_000, 30_000, 1_500_000),
        (b"x" * 1000, 20_000, 1, 1_500_000),
        (b'"', 20_000_001, 1, 1_500_000),
        # One look ahead over as many lines as a record may have.
        (b'a,"' + b"x\n" * 60_000, 1, 60_000, 3_000_000),
    ],
)
def test_memory_does_not_grow_with_the_file(unit: bytes, times: int, records: int, limit: int) -> None:
    stream = io.BufferedReader(Endless(b"a,b,c\n", unit, times))
    reader = CsvRecords(open_content(stream), CSV_LIMITS._replace(record_bytes=64 * 1024))
    reader.read_header({}, [])
    tracemalloc.start()
    try:
        found = sum(1 for _ in reader.items(len))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == records
    assert peak < limit
