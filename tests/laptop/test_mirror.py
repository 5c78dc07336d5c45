"""A mirror has the keys of the lake, and nothing in a key leads out of its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from laptop.mirror import ODD_KEYS, mirror, mirror_path

HOSTILE = [
    "prod/../../escaped",
    "prod/..",
    "prod/./a",
    "prod//a",
    "prod/a\\..\\b",
    "prod/" + "long" * 100,
    "prod/" + "deep/" * 190 + "x",
    "prod/" + "é" * 200,
]
PLAIN = [
    "prod/t/snapshot_date=2026-11-01/version=1/part-00000.parquet",
    'prod/it\'s 100% a+b & "c" ☂.json',
    "prod/...",
    "prod/~",
    "prod/-rf",
    "prod/ leading and trailing ",
]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
    | st.sampled_from(HOSTILE + PLAIN)
)
def test_no_key_leads_out(key: str) -> None:
    path = mirror_path(key)
    assert not path.is_absolute()
    assert path.parts
    assert all(part not in ("..", ".", "") and len(part.encode()) <= 255 for part in path.parts)


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "..", ".", "", "a ", ODD_KEYS, "b"]), min_size=1, max_size=4),
        unique_by=tuple,
    )
)
def test_no_two_keys_share_a_path(keys: list[list[str]]) -> None:
    names = {"/".join(parts) for parts in keys}
    assert len({mirror_path(name) for name in names}) == len(names)


def test_plain_keys_are_paths() -> None:
    for key in PLAIN:
        assert mirror_path(key) == PurePosixPath(key)
    for key in HOSTILE:
        assert mirror_path(key).parts[0] == ODD_KEYS


def test_a_folder_is_replaced_by_what_the_lake_has(s3: Any, bucket: str, tmp_path: Path) -> None:
    keys = [*PLAIN, *HOSTILE, "prod/a", "prod/a/b", "quarantine/x", "landing/not mirrored"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.put_object(Bucket=bucket, Key="prod/folder marker/", Body=b"")
    folder = tmp_path / "build" / "demo"
    folder.mkdir(parents=True)
    (folder / "left over from before").touch()

    paths = mirror(s3, bucket, ("prod/", "quarantine/"), folder)

    assert set(paths) == set(keys) - {"landing/not mirrored"}
    for key, path in paths.items():
        assert path.read_bytes() == key.encode()
    for key in PLAIN:
        assert paths[key] == folder / key
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == set(paths.values())
