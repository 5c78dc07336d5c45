"""What an upload's bytes are: plain, gzip or zip, damage, bounds."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tracemalloc
import zipfile
import zlib
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.formats import content
from medlaunch.formats.content import Limits, UnreadableUpload, open_content, open_files


def read(data: bytes, *, must_be_gzip: bool = False, **limits: int) -> list[bytes]:
    """The lines of an upload."""
    return list(open_content(io.BytesIO(data), Limits(**limits), must_be_gzip=must_be_gzip))


# --- gzip ------------------------------------------------------------------------------------------

CONTENT = b'{"a":1}\n' * 5000


def test_a_gzip_of_several_members_is_one_file() -> None:
    members = gzip.compress(CONTENT) + gzip.compress(b"") + gzip.compress(b'{"b":2}\n')
    assert len(read(members)) == 5001
    assert len(read(members + b"\0" * 700)) == 5001


def test_a_gzip_of_nothing_is_empty() -> None:
    assert read(gzip.compress(b"")) == []


def test_the_first_bytes_decide() -> None:
    assert len(read(gzip.compress(CONTENT))) == 5000
    assert len(read(CONTENT)) == 5000
    assert read(b"") == []
    assert read(b"\x1f") == [b"\x1f"]


# Names of their own: gzip writes the time into its bytes, and pytest short bytes into the names of tests.
@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(CONTENT, id="plain"),
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(CONTENT)[:-1], id="without its last byte"),
        pytest.param(gzip.compress(CONTENT)[:40], id="its beginning"),
        pytest.param(gzip.compress(CONTENT)[:5], id="half a header"),
        pytest.param(gzip.compress(CONTENT) + b"trailing garbage", id="more behind it"),
        pytest.param(
            gzip.compress(CONTENT)[:-6] + b"\0\0" + gzip.compress(CONTENT)[-4:], id="another checksum"
        ),
        pytest.param(gzip.compress(CONTENT).replace(b"\x1f\x8b\x08", b"\x1f\x8b\x07"), id="another method"),
        pytest.param(zlib.compress(CONTENT), id="zlib"),
    ],
)
def test_a_damaged_gzip_is_unreadable_as_a_whole(damaged: bytes) -> None:
    with pytest.raises(UnreadableUpload, match="corrupt_archive") as raised:
        read(damaged, must_be_gzip=True)
    assert raised.value.reason == "corrupt_archive"


def test_a_gzip_bomb_is_refused_before_it_fills_anything() -> None:
    bomb = gzip.compress(b" " * 30_000_000)
    assert len(bomb) < 40_000
    with pytest.raises(UnreadableUpload, match="archive_too_large") as raised:
        read(bomb, ratio=500, ratio_from_bytes=1_000_000)
    assert raised.value.reason == "archive_too_large"
    with pytest.raises(UnreadableUpload, match="more than 20,000,000 bytes"):
        read(bomb, total_bytes=20_000_000)
    assert read(bomb, ratio=500) == [b" " * 30_000_000]  # small enough to let it pass


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.binary(max_size=3))
def test_damaged_gzips_raise_nothing_else(junk: bytes, at: int, replacement: bytes) -> None:
    good = gzip.compress(b'{"a":1}\n' * 20 + junk)
    for damaged in (good[:at] + replacement + good[at + 2 :], b"\x1f\x8b" + junk):
        try:
            read(damaged, must_be_gzip=True)
        except UnreadableUpload as error:
            assert error.reason == "corrupt_archive"  # noqa: PT017 - both outcomes are right


def test_bytes_read_are_those_of_the_upload() -> None:
    zipped = gzip.compress(CONTENT)
    for data in (CONTENT, zipped):
        opened = open_content(io.BytesIO(data))
        assert sum(1 for _ in opened) == 5000
        assert opened.bytes_read == len(data)


# --- zip -------------------------------------------------------------------------------------------

CSV = (".csv",)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


class OneWay(io.RawIOBase):
    """A stream that gives a few bytes at a time and does not go back."""

    def __init__(self, data: bytes, size: int = 100):
        self._data, self._size = io.BytesIO(data), size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(memoryview(buffer)[: self._size])


def files(data: bytes, **limits: int) -> dict[str, bytes]:
    """Names and content of the data files of an upload, in their order."""
    stream = cast(BinaryIO, OneWay(data))
    return {name: opened.read() for name, opened in open_files(stream, CSV, Limits(**limits))}


def test_members_are_files_in_the_order_of_their_names() -> None:
    found = files(
        zipped(
            {
                "b.csv": b"b\n" * 1000,
                "a/Z.CSV": b"z\n",
                "a.csv": b"",
                "notes.txt": b"x",
                "inner.zip": zipped({"c.csv": b"c"}),
                "folder.csv/": b"",
                "__MACOSX/._b.csv": b"x",
                "__MACOSX/b.csv": b"x",
                ".hidden.csv": b"x",
                "a/.git/b.csv": b"x",
                "a\\.b.csv": b"x",
                "../../etc/é.csv": b"up",
                "/root/d.csv": b"root",
            }
        )
    )
    assert list(found) == ["../../etc/é.csv", "/root/d.csv", "a.csv", "a/Z.CSV", "b.csv"]
    assert list(found.values()) == [b"up", b"root", b"", b"z\n", b"b\n" * 1000]


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"", b"P", b"PK"])
def test_what_is_no_archive_is_one_file_without_a_name(data: bytes) -> None:
    assert files(data) == {"": data}
    assert files(gzip.compress(data)) == {"": data}


def test_an_archive_without_data_has_no_files() -> None:
    assert files(zipped({})) == {}
    assert files(zipped({"readme.txt": b"x"})) == {}


def test_stored_members_data_descriptors_zip64_and_names_that_occur_twice() -> None:
    assert files(zipped({"a.csv": b"a\n" * 500}, zipfile.ZIP_STORED)) == {"a.csv": b"a\n" * 500}
    out = io.BytesIO()

    class NoSeek(io.RawIOBase):  # makes zipfile write data descriptors
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            return out.write(data)

    with zipfile.ZipFile(cast(BinaryIO, NoSeek()), "w", zipfile.ZIP_DEFLATED) as archive:
        for text in (b"first\n", b"second\n"):
            with archive.open("a.csv", "w", force_zip64=True) as member:
                member.write(text)
    assert out.getvalue()[6] & 8
    stream = cast(BinaryIO, OneWay(out.getvalue()))
    assert [(name, opened.read()) for name, opened in open_files(stream, CSV)] == [
        ("a.csv", b"first\n"),
        ("a.csv", b"second\n"),
    ]


def test_a_damaged_member_does_not_harm_the_others() -> None:
    texts = {name: os.urandom(3000).hex().encode() for name in ("a.csv", "b.csv", "c.csv")}
    data = bytearray(zipped(texts))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        at = archive.getinfo("b.csv").header_offset
    data[at + 200 : at + 300] = bytes(100)
    found, damaged = {}, {}
    for name, opened in open_files(io.BytesIO(data), CSV):
        try:
            found[name] = opened.read()
        except UnreadableUpload as error:
            damaged[name] = str(error)
    assert found == {name: texts[name] for name in ("a.csv", "c.csv")}
    assert damaged["b.csv"].startswith("corrupt_archive: 'b.csv' of the zip archive cannot be read")


def patched(data: bytes, local: int, central: int, value: bytes) -> bytes:
    """An archive of one member with other bytes in its local header and in its directory."""
    changed = bytearray(data)
    for at in (local, data.index(b"PK\x01\x02") + central):
        changed[at : at + len(value)] = value
    return bytes(changed)


TEXT = b"".join(hashlib.sha256(b"%d" % number).hexdigest().encode() + b"\n" for number in range(50))
ONE = zipped({"a.csv": TEXT})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(ONE[:-1], "no directory", id="without its last byte"),
        pytest.param(ONE[:60], "no directory", id="its beginning"),
        pytest.param(b"PK\x03\x04" + b"a,b\n" * 9, "no directory", id="only its magic"),
        pytest.param(ONE[:200] + ONE[210:], "cannot be read", id="bytes are missing"),
        pytest.param(patched(ONE, 14, 16, b"\1\2\3\4"), "Bad CRC-32", id="another checksum"),
        pytest.param(patched(ONE, 6, 8, b"\1\0"), "it is encrypted", id="encrypted"),
        pytest.param(patched(ONE, 8, 10, b"\x0c\0"), "compression method 12", id="bzip2"),
        pytest.param(patched(ONE, 22, 24, b"\xff\0\0\0"), "cannot be read", id="says that it is shorter"),
        pytest.param(patched(ONE, 0, 42, b"PK\3\4"), "cannot be read", id="begins beyond the end"),
    ],
)
def test_a_damaged_archive_is_unreadable(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableUpload, match=message) as raised:
        files(data)
    assert raised.value.reason == "corrupt_archive"


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(ONE)), st.binary(max_size=6), st.integers(0, 6))
def test_damaged_archives_raise_nothing_else(at: int, junk: bytes, gone: int) -> None:
    data = ONE[:at] + junk + ONE[at + gone :]
    try:
        found = files(data)
    except UnreadableUpload as error:
        assert error.reason == "corrupt_archive"  # noqa: PT017 - both outcomes are right
    else:
        assert found in ({"a.csv": TEXT}, {"": data}) or "a.csv" not in found


def test_bombs_are_refused_before_they_fill_anything() -> None:
    bomb = zipped(dict.fromkeys(("a.csv", "b.csv", "c.csv"), b" " * 10000000))
    assert len(bomb) < 40_000
    for limits, message in (
        ({"ratio": 500, "ratio_from_bytes": 1_000_000}, "over 500 times"),
        ({"total_bytes": 25_000_000}, "more than 25,000,000 bytes"),  # all members together
        ({"members": 2}, "3 data files, more than 2"),
        ({"zip_bytes": 20_000}, "more than 20,000 bytes"),
    ):
        with pytest.raises(UnreadableUpload, match=message) as raised:
            files(bomb, **limits)
        assert raised.value.reason == "archive_too_large"
    assert sum(map(len, files(bomb).values())) == 30_000_000  # small enough to let it pass


def test_a_directory_that_fills_the_memory_is_not_read() -> None:
    with pytest.raises(UnreadableUpload, match="a directory of more than 1,048,576 bytes"):
        files(zipped({f"{number}.txt": b"" for number in range(20_000)}))


def test_memory_does_not_grow_with_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_SPOOL", 1_000_000)
    data = zipped({f"{number}.csv": os.urandom(1_000_000) for number in range(8)}, zipfile.ZIP_STORED)
    tracemalloc.start()
    try:
        size = 0
        for _, member in open_files(io.BytesIO(data), CSV):
            while chunk := member.read(100_000):
                size += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 8_000_000
    assert peak < 4_000_000


def test_bytes_read_of_members_are_compressed_ones() -> None:
    data = zipped({"a.csv": CONTENT, "b.csv": CONTENT})
    read_bytes = sum(opened.bytes_read for _, opened in open_files(io.BytesIO(data), CSV))
    assert 100 < read_bytes < len(data)
