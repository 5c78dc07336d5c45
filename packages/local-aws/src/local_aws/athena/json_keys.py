"""How JSON files spell the keys of a table's columns: the SerDes compare them without regard to case, DuckDB does not."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from local_aws.athena.engine import Session
from local_aws.athena.errors import Cancelled
from local_aws.athena.files import BLOCK, body_of
from local_aws.athena.serdes import Spelling
from local_aws.athena.types import Type

# A key with upper-case letters, also where they are written as \\u0041; some values look like it, too.
_UPPER_CASE_KEY = r'(?:[A-Z]|\\u00[45])[^"]*"\s*:'
# What was found, by body; bodies never change.
_upper_case: dict[tuple[int, ...], bool] = {}
STRUCTURES: dict[str, Any] = {}


def written_in_lower_case(path: Path) -> None:
    """Notes that a JSON file about to become an object has no keys with upper-case letters but those of maps."""
    _upper_case[body_of(path)] = False


def has_upper_case_keys(path: str, compression: str, session: Session) -> bool:
    """Whether a file may spell a key with upper-case letters. The first query of a file searches all of it."""
    body = body_of(path)
    known = _upper_case.get(body)
    if known is None:
        known, at_once = False, 2 * (os.cpu_count() or 1)
        blocks = _blocks(path, compression)
        with ThreadPoolExecutor(at_once // 2) as pool:
            while not known and (some := list(itertools.islice(blocks, at_once))):
                if session.cancelled:
                    raise Cancelled
                search = map if len(some) == 1 else pool.map
                known = any(search(_mentions_upper_case_key, some))
        if len(_upper_case) > 100_000:
            _upper_case.clear()
        _upper_case[body] = known
    return known


def _blocks(path: str, compression: str) -> Iterator[bytes]:
    """A file's text in blocks of whole lines."""
    rest = b""
    with pa.input_stream(path, compression=None if compression == "uncompressed" else compression) as stream:
        while block := stream.read(BLOCK):
            whole, line_break, tail = block.rpartition(b"\n")
            if line_break:
                yield rest + whole
                rest = tail
            else:
                rest += block
    yield rest


def _mentions_upper_case_key(block: bytes) -> bool:
    # One value of all the bytes: Arrow searches it where it lies, at the speed of RE2's automaton.
    ends = pa.py_buffer(struct.pack("=qq", 0, len(block)))
    value = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(block)])
    return bool(pc.match_substring_regex(value, _UPPER_CASE_KEY)[0].as_py())


class SeveralSpellingsError(Exception):
    """A JSON file spells the name of one field in several ways."""


def spelling_of(structure: Any, t: Type, url: str) -> Spelling:
    """Compares the structure that DuckDB found in a file with the table's type."""
    if t.base == "array":
        return spelling_of(structure[0], t.args[0], url) if isinstance(structure, list) and structure else {}
    if t.base == "map":
        values = list(structure.values()) if isinstance(structure, dict) else []
        return spelling_of(values[0], t.args[1], url) if len(values) == 1 else {}
    if t.base != "row" or not isinstance(structure, dict):
        return {}
    out: Spelling = {}
    for n, a in zip(t.names, t.args, strict=True):
        found = [k for k in structure if k.lower() == n]
        if len(found) > 1:
            raise SeveralSpellingsError(f"{', '.join(found)} in {url}")
        if found:
            inner = spelling_of(structure[found[0]], a, url)
            if found[0] != n or inner:
                out[n or ""] = (found[0], inner)
    return out
