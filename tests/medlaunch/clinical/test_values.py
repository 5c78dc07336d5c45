"""How a FHIR upload is split into values: the contract's section 1, against a reader that parses the whole file."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medlaunch.clinical import values as reader
from medlaunch.clinical.resources import RESOURCE_TYPES, decode_resource
from medlaunch.formats import Malformed
from medlaunch.formats.content import Limits, open_content
from tests import clinical_model as model

Given = tuple[Any, bool]


def read(content: bytes, limit: int = 10**6) -> tuple[list[Given], reader.FhirValues[Any]]:
    """The values as Python sees them, MALFORMED for what is none, and whether they come from a Bundle."""
    limits = Limits(record_bytes=limit)
    values = reader.FhirValues(
        open_content(io.BytesIO(content), limits), decode_resource, RESOURCE_TYPES, limits
    )
    found = []
    for one in values:
        if isinstance(one.value, Malformed):
            found.append((model.MALFORMED, one.in_bundle))
        else:
            value = json.loads(one.raw)
            if one.uuid is not None and value.get("id") is None:
                value["id"] = one.uuid
            found.append((value, one.in_bundle))
    return found, values


def expected(content: bytes) -> tuple[list[Given], int]:
    versions = model.Versions()
    return model._opened(model.split(content), versions), versions.ignored_bundle_entries


P = {"resourceType": "Patient", "id": "1"}
E = {"resourceType": "Encounter", "id": "2", "class": {"code": "IMP"}}
BUNDLE = {
    "resourceType": "Bundle",
    "entry": [
        {"fullUrl": "urn:uuid:u-1", "resource": {"resourceType": "Patient"}},
        {"resource": E},
        {"resource": {"resourceType": "Observation", "id": "o"}},
        {"fullUrl": "http://x/1"},
        {"resource": {"resourceType": "Bundle", "entry": [{"resource": P}]}},
        5,
    ],
}
PRETTY = json.dumps(P, indent=2).encode()
p, e, b = (json.dumps(one).encode() for one in (P, E, BUNDLE))
M = model.MALFORMED


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b" \n\t\r\n", []),
        (b"\xef\xbb\xbf", []),
        (p, [P]),
        (b"\xef\xbb\xbf" + p, [P]),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + p, [M]),
        (p + b"\n\n \r\n" + e, [P, E]),
        (b"[]", []),
        (b"[" + p + b"," + e + b"]", [P, E]),
        (b"[" + p + b",\n" + e + b"\n]\n", [P, E]),
        (b"[[" + p + b"]]", [[P]]),
        (b"42", [42]),
        (PRETTY, [P]),
        (PRETTY + PRETTY, [P, P]),
        (PRETTY + b"\n7 8\n" + PRETTY, [P, 7, 8, P]),
        (PRETTY + b"," + PRETTY, [P, M]),
        (PRETTY + b"[1]", [P, [1]]),
        (p + b"\n[]\n42\n" + e, [P, [], 42, E]),
        (p + b"\n" + p[:-3] + b"\n" + e, [P, M, E]),
        (p[:-3] + b"\n" + e, [M, E]),
        (p + b"\n" + e[:-1], [P, M]),
        (p + b'\n{"resourceType": "Patient", "id": NaN}\n' + e, [P, M, E]),
        (p + b'\n{"resourceType": "Patient", "id": -Infinity}', [P, M]),
        (p + b'\n{"id": "\xff"}\n' + e, [P, M, E]),
        (p + p + b"\n" + e, [M, E]),
        (b'{"id": "\xff"}', [M]),
        (b"[" + p + b', {"id": "\xff"}]', [M]),
        # Rule 2 comes before rule 3: one line alone is a resource.
        (b"[\n" + p + b",\n" + e + b"\n", [M, M, E]),
        (b'{"a": 1}\n{"a": 2}', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n{"a": \n{"a": 2}', [{"a": 1}, M]),
        (PRETTY[:-2], [M]),
    ],
)
def test_rules(content: bytes, found: list[Any]) -> None:
    assert [value for value, _ in read(content)[0]] == found
    assert [value for value, _ in expected(content)[0]] == found


@pytest.mark.parametrize(
    "content", [b, b + b"\n" + p, json.dumps(BUNDLE, indent=1).encode(), b"[" + b + b"]"]
)
def test_bundles_are_opened_wherever_they_are(content: bytes) -> None:
    values, reading = read(content)
    assert values[:2] == [({"resourceType": "Patient", "id": "u-1"}, True), (E, True)]
    assert values[2:] == ([(P, False)] if content.endswith(p) else [])
    assert (reading.bundles, reading.ignored_entries) == (1, 4)


def test_lines_are_numbered() -> None:
    def lines(content: bytes) -> list[int]:
        values = reader.FhirValues(open_content(io.BytesIO(content)), decode_resource, RESOURCE_TYPES)
        return [one.line for one in values]

    assert lines(b"\n" + p + b"\n\n" + b"{\n" + e) == [2, 4, 5]
    assert lines(b"\n[\n" + PRETTY + b",\n" + e + b"]") == [3, 7]
    assert lines(b"\n" + PRETTY + b"\n\n" + PRETTY) == [2, 7]


# --- random files ----------------------------------------------------------------------------------

VALUES: list[Any] = [
    P,
    E,
    BUNDLE,
    {},
    {"id": [[{}], "}]", "\\", '"', "é", 1.5e3, None, True]},
    [],
    [P],
    42,
    "x",
    None,
]
JUNK = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b'"',
    b"\\",
    b"\n",
    b" ",
    b"\xff",
    b"NaN",
    b"null",
    b"1",
    b"\xef\xbb\xbf",
    b"{}",
    b"\x00",
]


def random_file(rng: random.Random) -> bytes:
    values = [rng.choice(VALUES) for _ in range(rng.randint(0, 5))]
    indent = rng.choice([None, None, 1])
    texts = [json.dumps(value, indent=indent, ensure_ascii=False).encode() for value in values]
    layout = rng.choice(["lines", "lines", "array", "array", "glued", "spaced"])
    if layout == "array":
        content = rng.choice([b"", b"\n"]) + b"[" + rng.choice([b",", b",\n", b" , "]).join(texts) + b"]"
    else:
        content = {"lines": b"\n", "glued": b"", "spaced": b"\n \n"}[layout].join(texts)
    content = rng.choice([b"", b"", b"\xef\xbb\xbf"]) + content + rng.choice([b"", b"\n"])
    for _ in range(rng.choice([0, 0, 1, 2])):
        at = rng.randint(0, len(content))
        action = rng.randint(0, 2)
        if action == 0:
            content = content[:at]
        elif action == 1:
            content = content[:at] + rng.choice(JUNK) + content[at:]
        else:
            content = content[:at] + content[at + rng.randint(1, 5) :]
    return content


@pytest.mark.parametrize("chunk", [3, 64, 256 * 1024])
@settings(deadline=None, max_examples=60)
@given(rng=st.randoms(use_true_random=False))
@example(rng=random.Random(1))
def test_any_file_is_split_as_the_whole_file_would_be(chunk: int, rng: random.Random) -> None:
    """Also where the scanner sees no more than a few bytes at a time, and looks into every value part by part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_CHUNK", chunk)
        patch.setattr(reader, "_WHOLE", chunk)
        for _ in range(3):
            content = random_file(rng)
            values, reading = read(content)
            assert (values, reading.ignored_entries) == expected(content), content


def test_a_bundle_longer_than_the_limit_is_read_entry_by_entry() -> None:
    entries = [{"resource": {"resourceType": "Patient", "id": f"{n}", "gender": "x" * 50}} for n in range(50)]
    long = {"resource": {"resourceType": "Patient", "id": "long", "gender": "x" * 500}}
    bundle = {"entry": [*entries, long, 1], "id": "b", "resourceType": "Bundle", "total": [{"a": 1}]}
    content = json.dumps(bundle, indent=1).encode()
    assert len(content) > 5000
    values, reading = read(content, limit=300)
    assert [value["id"] for value, _ in values[:50]] == [f"{n}" for n in range(50)]
    assert values[50:] == [(M, True)]
    assert (reading.bundles, reading.ignored_entries) == (1, 1)
    # In a row of values, too, and what comes after it.
    values, _ = read(content + PRETTY, limit=300)
    assert (len(values), values[-1]) == (52, (P, False))


def test_what_is_longer_than_the_limit_is_one_malformed_value() -> None:
    long = json.dumps({"resourceType": "Patient", "id": "1", "gender": "x" * 1000}).encode()
    assert read(p + b"\n" + long + b"\n" + e, limit=300)[0] == [(P, False), (M, False), (E, False)]
    assert read(b"[" + p + b"," + long + b"," + e + b"]", limit=300)[0] == [
        (P, False),
        (M, False),
        (E, False),
    ]
    assert read(long, limit=300)[0] == [(M, False)]


def test_nesting_is_limited() -> None:
    deep = b'{"resourceType": "Patient", "id": "1", "x": ' + b"[" * 600 + b"]" * 600 + b"}"
    assert read(p + b"\n" + deep + b"\n" + e)[0] == [(P, False), (M, False), (E, False)]
