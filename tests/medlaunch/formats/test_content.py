"""What an upload's bytes are: plain or gzip, damage, bounds."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.formats.content import Limits, UnreadableUpload, open_content


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


def test_a_archive_too_large_is_refused_before_it_fills_anything() -> None:
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
    for content in (good[:at] + replacement + good[at + 2 :], b"\x1f\x8b" + junk):
        try:
            read(content, must_be_gzip=True)
        except UnreadableUpload as error:
            assert error.reason == "corrupt_archive"  # noqa: PT017 - both outcomes are right


def test_bytes_read_are_those_of_the_upload() -> None:
    zipped = gzip.compress(CONTENT)
    for data in (CONTENT, zipped):
        content = open_content(io.BytesIO(data))
        assert sum(1 for _ in content) == 5000
        assert content.bytes_read == len(data)
