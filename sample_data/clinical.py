"""Uploads of FHIR resources: the same persons' stories over three exports, with updates, corrections and withdrawals.

What happens to a person is in ``clinical_stories``; here it becomes files in all the shapes in which they arrive, with an
exact account of what was read and of every measure.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from sample_data.clinical_stories import (
    COMMON,
    LONGEST,
    MEASURES,
    STORIES,
    Person,
    Resource,
    recent,
)
from sample_data.randomness import pick, stream
from sample_data.uploads import Shape, ValueWriter, require_empty, set_time, write_bytes

DEFAULT_PEOPLE = 500
DEFAULT_SEED = 7
DEFAULT_DEFECTS = 0.01
#: The last day that the data cover: the greatest discharge of all stays.
DATA_END = date(2026, 9, 30)
EXPORTS = ("2026-11-01", "2026-11-02", "2026-11-03")

_FOLDERS = {"Patient": "patients", "Encounter": "encounters", "Condition": "conditions"}
_SHAPES = {
    "bundle": ("bundles/{}/persons.ndjson", Shape.LINES),
    "array": ("{folder}/{}/array.json", Shape.ARRAY_PRETTY),
    "glued": ("{folder}/{}/one after the other.json", Shape.CONCATENATED_PRETTY),
    "packed": ("{folder}/{}/{kind}.ndjson.gz", Shape.LINES),
    "lines": ("{folder}/{}/{kind}.000.ndjson", Shape.LINES_BOM),
}
_NO_DATA = {
    "patients/READ ME.txt": (b"One resource per line.\n", "not_data"),
    "encounters/nothing.ndjson": (b"", "empty_object"),
    "conditions/damaged in transit.ndjson.gz": (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "corrupt_archive"),
}


class Defect(NamedTuple):
    """A line that is rejected, made of a good one."""

    reason: str
    text: bytes


_KINDS = 9


def _defect(kind: int, resource: Resource) -> Defect:
    line = _encode(resource)
    if kind == 0:
        return Defect("malformed_json", line[: len(line) // 2])
    if kind == 1:
        return Defect("malformed_json", line[:-1] + b', "x": NaN}')
    if kind == 2:
        return Defect("malformed_json", line[:-1] + b', "x": "\xff"}')
    if kind == 3:
        return Defect("not_a_resource", b"[]")
    if kind == 4:
        return Defect("not_a_resource", _encode({"id": resource["id"]}))
    if kind == 5:
        return Defect("wrong_resource_type", _encode(resource | {"resourceType": "Practitioner"}))
    if kind == 6:
        return Defect("id_invalid", _encode(resource | {"id": "two words"}))
    if kind == 7:
        return Defect("last_updated_invalid", _encode(resource | {"meta": {"lastUpdated": "2026-10-01"}}))
    return Defect("id_invalid", _encode({name: one for name, one in resource.items() if name != "id"}))


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


@dataclass(slots=True)
class ClinicalAccount:
    """Everything that one call wrote; outcomes are those of one run over all files, or of one after the other.

    ``measures`` has numerator, denominator and exclusions by (measure, organization or ``ALL``, month).
    """

    seed: int
    data_end: date = DATA_END
    files: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    resources: int = 0
    superseded: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    ignored_bundle_entries: int = 0
    measures: dict[tuple[str, str, str], tuple[int, int, dict[str, int]]] = field(default_factory=dict)

    @property
    def read(self) -> int:
        return self.resources + sum(self.rejected.values())

    @property
    def accepted(self) -> int:
        return self.resources - self.superseded

    def total(self, measure: str) -> tuple[int, int, dict[str, int]]:
        """Of all organizations and months: numerator, denominator, exclusions."""
        numerator = denominator = 0
        excluded: Counter[str] = Counter()
        for (name, org, _), (above, below, reasons) in self.measures.items():
            if (name, org) == (measure, "ALL"):
                numerator, denominator = numerator + above, denominator + below
                excluded.update(reasons)
        return numerator, denominator, dict(excluded)

    def write(self, path: Path) -> None:
        """Write the account as indented JSON."""
        plain = {
            "seed": self.seed,
            "data_end": f"{self.data_end}",
            "files": self.files,
            "skipped": self.skipped,
            "read": self.read,
            "accepted": self.accepted,
            "superseded": self.superseded,
            "rejected": dict(sorted(self.rejected.items())),
            "ignored_bundle_entries": self.ignored_bundle_entries,
            "measures": [
                {"measure": measure, "org_id": org, "month": month, "numerator": above, "denominator": below,
                 "exclusions": reasons}
                for (measure, org, month), (above, below, reasons) in sorted(self.measures.items())
            ],
        }  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def people(seed: int, how_many: int) -> Iterator[Person]:
    """Persons with their stories; the first ones tell each story once."""
    for number in range(how_many):
        random = stream(seed, "clinical", number)
        if number == 0 or random() < 0.01:
            story: Callable[[Person], None] = recent
            begin = DATA_END - timedelta(int(random() * 10) if number else 0)
        else:
            story = STORIES[number - 1] if number <= len(STORIES) else pick(random, STORIES + COMMON * 4)
            begin = DATA_END - timedelta(LONGEST + 31 + int(random() * 300))
        person = Person(f"p{number}", random, begin)
        story(person)
        yield person


def write_uploads(
    folder: Path, *, people_: int = DEFAULT_PEOPLE, seed: int = DEFAULT_SEED, defects: float = DEFAULT_DEFECTS
) -> ClinicalAccount:
    """Write uploads into ``folder/{patients,encounters,conditions,bundles}``.

    Each export has the versions that are new in it, as NDJSON, gzip, arrays, values one after the other, Bundles and
    single resources. ``defects`` is a share of the lines, each an additional line that is rejected.

    Raises:
        ValueError: for arguments that make no sense, or if the folder holds other files.
    """
    if people_ < 1:
        raise ValueError(f"people must be 1 or more, not {people_}")
    if not 0 <= defects <= 1:
        raise ValueError(f"the share of defects must be from 0 to 1, not {defects}")
    require_empty(folder, [*_names(people_), *_NO_DATA])
    account = ClinicalAccount(seed)
    writer = _Writer(folder, account, seed, defects)
    sums: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    exclusions: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for number, person in enumerate(people(seed, people_)):
        account.superseded += person.superseded
        for (measure, org, month), above, below, excluded in person.credits:
            for where in (org, "ALL"):
                sums[measure, where, month][0] += above
                sums[measure, where, month][1] += below
                if excluded:
                    exclusions[measure, where, month][excluded] += 1
        writer.person(number, person)
    writer.close()
    for name, (content, reason) in _NO_DATA.items():
        write_bytes(folder / name, content)
        account.skipped[name] = reason
    for key in {(measure, org, month) for _, org, month in sums for measure in MEASURES}:
        account.measures[key] = (*_pair(sums[key]), dict(exclusions[key]))
    return account


def _pair(numbers: list[int]) -> tuple[int, int]:
    return numbers[0], numbers[1]


_SINGLES = 3


def _names(how_many: int) -> list[str]:
    """Every file that a call may write."""
    return [
        pattern.format(export, folder=folder, kind=kind)
        for pattern, _ in _SHAPES.values()
        for export in EXPORTS
        for kind, folder in _FOLDERS.items()
    ] + [f"patients/single/p{number}.json" for number in range(min(_SINGLES, how_many))]


class _Writer:
    """Hands each person's resources to the files of their shape, and times the files by export."""

    def __init__(self, folder: Path, account: ClinicalAccount, seed: int, defects: float):
        self._folder, self._account, self._share = folder, account, defects
        self._random = stream(seed, "clinical", "defects")
        self._writers: dict[str, tuple[ValueWriter, int]] = {}
        self._kinds = cycle(range(_KINDS))

    def person(self, number: int, person: Person) -> None:
        shape = "bundle" if number % 12 == 5 else "array" if number % 15 == 7 else "lines"
        shape = "glued" if number % 40 == 11 else "packed" if number % 2 and shape == "lines" else shape
        for export in range(len(EXPORTS)):
            resources = [one for when, one in person.versions if when == export]
            if shape == "bundle" and resources:
                self._bundle(export, resources)
                continue
            for one in resources:
                if number < _SINGLES and one["resourceType"] == "Patient":
                    self._value(f"patients/single/{one['id']}.json", Shape.CONCATENATED_PRETTY, export, one)
                else:
                    self._value(
                        self._name(shape, export, one["resourceType"]), _SHAPES[shape][1], export, one
                    )

    def _name(self, shape: str, export: int, kind: str) -> str:
        return _SHAPES[shape][0].format(EXPORTS[export], folder=_FOLDERS[kind], kind=kind)

    def _writer(self, name: str, shape: Shape, export: int) -> ValueWriter:
        if name not in self._writers:
            self._writers[name] = ValueWriter(self._folder / name, shape), export
        return self._writers[name][0]

    def _value(self, name: str, shape: Shape, export: int, resource: Resource) -> None:
        writer = self._writer(name, shape, export)
        writer.value(json.dumps(resource, ensure_ascii=False))
        self._count(name)
        if shape.is_lines and self._random() < self._share:
            defect = _defect(next(self._kinds), resource)
            writer.raw(defect.text)
            self._count(name, defect.reason)

    def _bundle(self, export: int, resources: list[Resource]) -> None:
        """A Bundle of a person; conditions have no id but that of their fullUrl."""
        name, shape = self._name("bundle", export, "Patient"), _SHAPES["bundle"][1]
        entries: list[Resource] = [
            {
                "fullUrl": f"urn:uuid:{one['id']}",
                "resource": {
                    key: value
                    for key, value in one.items()
                    if key != "id" or one["resourceType"] != "Condition"
                },
            }
            for one in resources
        ]
        organization = {"resourceType": "Organization", "id": "north", "name": "North"}
        entries.append({"fullUrl": "https://example.org/Organization/north", "resource": organization})
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        self._writer(name, shape, export).value(json.dumps(bundle, ensure_ascii=False))
        self._account.ignored_bundle_entries += 1
        for _ in resources:
            self._count(name)

    def _count(self, name: str, reason: str | None = None) -> None:
        self._account.files[name] = self._account.files.get(name, 0) + 1
        if reason:
            self._account.rejected[reason] += 1
        else:
            self._account.resources += 1

    def close(self) -> None:
        for name, (writer, export) in self._writers.items():
            writer.close()
            moment = datetime.fromisoformat(EXPORTS[export]).replace(hour=6, tzinfo=UTC)
            set_time(self._folder / name, int(moment.timestamp()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command line."""
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write into, empty or of an earlier call"
    )
    parser.add_argument("--people", type=int, default=DEFAULT_PEOPLE, help="about three resources each")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--defects", type=float, default=DEFAULT_DEFECTS, help="share of lines with a defect")
    parser.add_argument("--expect", type=Path, help="write the account to this file")


def run(arguments: argparse.Namespace) -> str:
    """Do what the command line says; returns a summary. Raises ValueError or OSError if it cannot."""
    started = perf_counter()
    account = write_uploads(
        arguments.out, people_=arguments.people, seed=arguments.seed, defects=arguments.defects
    )
    if arguments.expect is not None:
        account.write(arguments.expect)
    return (
        f"{len(account.files)} files in {perf_counter() - started:.1f} s: {account.read:,} resources, of which "
        f"accepted {account.accepted:,}, superseded {account.superseded:,}, "
        f"rejected {sum(account.rejected.values()):,}"
    )
