"""The sample of FHIR uploads: valid R4, the same for the same seed, and with an account that the model confirms."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.patient import Patient

from sample_data.__main__ import main
from sample_data.clinical import DATA_END, ClinicalAccount, people, write_uploads
from sample_data.clinical_stories import COMMON, FAMILY, GIVEN, STORIES, STREETS, Person
from sample_data.randomness import stream
from tests import clinical_model as model
from tests.clinical_uploads import load_bytes

TYPES: dict[str, Any] = {"Patient": Patient, "Encounter": Encounter, "Condition": Condition, "Bundle": Bundle}


def contents(folder: Path, account: ClinicalAccount) -> Iterator[tuple[str, str, bytes]]:
    """Upload time, key and plain bytes of each file that is data, in the order of upload."""
    files = sorted(account.files, key=lambda name: ((folder / name).stat().st_mtime, name))
    for name in files:
        content = (folder / name).read_bytes()
        when = datetime.fromtimestamp((folder / name).stat().st_mtime, UTC)
        plain = gzip.decompress(content) if name.endswith(".gz") else content
        yield f"{when:%Y-%m-%dT%H:%M:%SZ}", f"landing/fhir/{name}", plain


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClinicalAccount]:
    folder = tmp_path_factory.mktemp("clinical")
    return folder, write_uploads(folder, people_=400, seed=3, defects=0.05)


def test_every_resource_is_valid_fhir_r4(sample: tuple[Path, ClinicalAccount]) -> None:
    seen: set[str] = set()
    for number, person in enumerate(people(3, 200)):
        for _, resource in person.versions:
            seen.add(resource["resourceType"])
            TYPES[resource["resourceType"]].model_validate(resource)
        assert number < 1 or person.versions
    folder, account = sample
    for _, key, content in contents(folder, account):
        if "/bundles/" in key:
            for line in content.splitlines():
                Bundle.model_validate_json(line)
                seen.add("Bundle")
    assert seen == set(TYPES)


def test_the_model_confirms_the_account(sample: tuple[Path, ClinicalAccount]) -> None:
    folder, account = sample
    uploads = [
        model.Upload(when, key, model.split(content)) for when, key, content in contents(folder, account)
    ]
    versions = model.read_uploads(uploads)
    assert (versions.read, versions.accepted, versions.superseded) == (
        account.read,
        account.accepted,
        account.superseded,
    )
    assert versions.rejected == account.rejected
    assert versions.ignored_bundle_entries == account.ignored_bundle_entries
    result = model.compute(versions)
    assert result.data_end == DATA_END == account.data_end
    assert result.measures == account.measures
    assert account.total("readmission_30d") == result.total("readmission_30d")
    # In whatever order the files come.
    again = model.read_uploads(uploads[::-1] + uploads[:3])
    assert again.current == versions.current


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_each_story_has_the_result_it_says(story: Any, seed: int) -> None:
    person = Person("p", stream(seed, story.__name__), date(2026, 1, 20))
    story(person)
    uploads = [
        model.Upload(
            f"2026-11-0{export + 1}T00:00:00Z",
            "landing/fhir/bundles/x",
            [one for when, one in person.versions if when == export],
        )
        for export in range(3)
    ]
    versions = model.read_uploads(uploads)
    assert versions.superseded == person.superseded
    result = model.compute(versions, data_end=DATA_END)
    expected: dict[tuple[str, str, str], list[Any]] = {key: [0, 0, {}] for key in result.measures}
    for (measure, org, month), above, below, excluded in person.credits:
        for where in (org, "ALL"):
            one = expected[measure, where, month]
            one[0], one[1] = one[0] + above, one[1] + below
            if excluded:
                one[2][excluded] = one[2].get(excluded, 0) + 1
    assert result.measures == {key: tuple(one) for key, one in expected.items()}


def test_the_loader_reads_what_the_account_says_and_keeps_no_name(
    sample: tuple[Path, ClinicalAccount],
) -> None:
    folder, account = sample
    rejected: dict[str, int] = {}
    written = b""
    for _, key, content in contents(folder, account):
        counts, bronze, _ = load_bytes(key, content)
        name = key.removeprefix("landing/fhir/")
        assert counts.lines == account.files[name], name
        written += bronze.data
        for reason, count in counts.rejected_by_reason.items():
            rejected[reason] = rejected.get(reason, 0) + count
    assert rejected == account.rejected
    assert len(rejected) == 5
    for text in (*GIVEN, *FAMILY, *STREETS):
        assert text.encode() not in written
        assert any(text.encode() in content for _, _, content in contents(folder, account)), text


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_uploads(tmp_path / name, people_=60, seed=9)
    files = [path.relative_to(tmp_path / "one") for path in sorted((tmp_path / "one").rglob("*.*"))]
    assert len(files) > 10
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_stories_are_all_told() -> None:
    assert set(COMMON) <= set(STORIES)
    told = [person for _, person in zip(range(len(STORIES) + 1), people(1, 1000), strict=False)]
    assert sum(len(person.credits) > 0 for person in told) > 20


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["clinical", "--out", out, "--people", "50", "--expect", str(tmp_path / "expect.json")]) == 0
    assert "superseded" in capsys.readouterr().out
    account = json.loads((tmp_path / "expect.json").read_text())
    assert account["read"] == account["accepted"] + account["superseded"] + sum(account["rejected"].values())
    assert main(["clinical", "--out", out, "--people", "0"]) == 2
    (tmp_path / "out/patients/other.ndjson").write_text("{}")
    assert main(["clinical", "--out", out]) == 2
