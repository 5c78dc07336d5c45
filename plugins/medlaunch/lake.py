"""The S3 layout: which prefix holds what, and how keys are built and parsed.

One bucket per environment; the first part of a key says what may be done there::

    landing/<dataset>/<snapshot>/<file>                  uploads; a key here is work to do
    archive/<dataset>/<snapshot>/<file>                  the upload as it came, after it was processed
    bronze/<dataset>/snapshot_date=<d>/<upload>-<n>.jsonl  canonical lines of one version of one upload
    staging/<dag_id>/run=<run>/...                       private to one run
    prod/<table>/snapshot_date=<d>/version=<v>/...       what readers see
    prod/manifests/<dag_id>/snapshot_date=<d>.json       what is published, written last
    prod/publications/<dag_id>/<d>.<v>.json              the manifest of each version that ever was
    quarantine/<dataset>/<snapshot>/<file>_rejects.jsonl rejected lines, each with its reason
    quarantine/<dataset>/set_aside/<rest of the key>     objects that are not data
    reports/<dag_id>/run=<run>.json                      the run's account of every line
    reports/publications/<dag_id>/<d>.<publication>.json one record of each publication and rollback
    reports/freshness/<dag_id>.json                      whether somebody was alerted that nothing comes
    athena-results/                                      the workgroup's scratch
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

LANDING = "landing"
ARCHIVE = "archive"
BRONZE = "bronze"
STAGING = "staging"
PROD = "prod"
QUARANTINE = "quarantine"
REPORTS = "reports"
ATHENA_RESULTS = "athena-results"

REJECTS_SUFFIX = "_rejects.jsonl"
DATA_EXTENSIONS = (".jsonl", ".ndjson", ".json")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


class SetAside(StrEnum):
    """Why an object under ``landing/`` is not data."""

    FOLDER_MARKER = "folder_marker"
    NOT_IN_A_SNAPSHOT_FOLDER = "not_in_a_snapshot_folder"
    SNAPSHOT_IS_NOT_A_DATE = "snapshot_folder_is_not_a_date"
    HIDDEN_FILE = "hidden_file"
    ZERO_BYTES = "zero_bytes"
    UNKNOWN_EXTENSION = "unknown_extension"
    KEY_TOO_LONG = "key_too_long"


@dataclass(frozen=True, slots=True)
class LandingKey:
    """A data upload's place: ``landing/<dataset>/<snapshot>/<file>``; ``file`` may hold slashes."""

    dataset: str
    snapshot: date
    file: str


def parse_date(text: str) -> date:
    """A calendar date written ``YYYY-MM-DD``, and in no other way.

    Raises:
        ValueError: naming the text, for anything else.
    """
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is not a date YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a day of the calendar: {error}") from error


def landing_prefix(dataset: str) -> str:
    return f"{LANDING}/{dataset}/"


def parse_landing_key(key: str, size: int) -> LandingKey | SetAside:
    """Tell what an object under ``landing/<dataset>/`` is, from its key and size in bytes.

    Returns the parsed key of a data file, or the reason why it is set aside.
    """
    _, dataset, rest = key.split("/", 2)
    if key.endswith("/"):
        return SetAside.FOLDER_MARKER
    folder, slash, file = rest.partition("/")
    if not slash:
        return SetAside.HIDDEN_FILE if rest.startswith(".") else SetAside.NOT_IN_A_SNAPSHOT_FOLDER
    if file.rsplit("/", 1)[-1].startswith("."):
        return SetAside.HIDDEN_FILE
    try:
        snapshot = parse_date(folder)
    except ValueError:
        return SetAside.SNAPSHOT_IS_NOT_A_DATE
    if size == 0:
        return SetAside.ZERO_BYTES
    if not file.lower().removesuffix(".gz").endswith(DATA_EXTENSIONS):
        return SetAside.UNKNOWN_EXTENSION
    if len(rejects_key(dataset, snapshot, file).encode()) > 1024:
        return SetAside.KEY_TOO_LONG
    return LandingKey(dataset, snapshot, file)


def landing_key(dataset: str, snapshot: date, file: str) -> str:
    return f"{LANDING}/{dataset}/{snapshot}/{file}"


def archive_key(landing: str) -> str:
    """Where a processed upload is kept: the same place below ``archive/``."""
    return ARCHIVE + landing.removeprefix(LANDING)


def landing_key_of(archived: str) -> str:
    """Where an archived upload came from, and goes when it is replayed."""
    return LANDING + archived.removeprefix(ARCHIVE)


def set_aside_key(landing: str) -> str:
    """Where an object that is not data is kept."""
    _, dataset, rest = landing.split("/", 2)
    # S3 allows keys of 1,024 bytes, and this place is named longer than landing/.
    return f"{QUARANTINE}/{dataset}/set_aside/{rest}".encode()[:1024].decode(errors="ignore")


def rejects_prefix(dataset: str, snapshot: date) -> str:
    return f"{QUARANTINE}/{dataset}/{snapshot}/"


def rejects_key(dataset: str, snapshot: date, file: str) -> str:
    return f"{rejects_prefix(dataset, snapshot)}{file}{REJECTS_SUFFIX}"


def upload_id(key: str, etag: str, last_modified: datetime) -> str:
    """Names one version of one upload: 24 hex digits, the same whenever it is asked."""
    text = "\0".join((key, etag, last_modified.isoformat()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def bronze_prefix(dataset: str, snapshot: date) -> str:
    return f"{BRONZE}/{dataset}/snapshot_date={snapshot}/"


def bronze_key(dataset: str, snapshot: date, upload: str, part: int) -> str:
    return f"{bronze_prefix(dataset, snapshot)}{upload}-{part:05d}.jsonl"


def run_key(run_id: str) -> str:
    """A run id as one safe part of a key: readable, and never the same for two run ids."""
    if not _UNSAFE.search(run_id) and len(run_id) <= 100:
        return run_id
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{_UNSAFE.sub('-', run_id)[:100]}-{digest}"


def staging_prefix(dag_id: str, run: str) -> str:
    return f"{STAGING}/{dag_id}/run={run}/"


def versions_prefix(table: str, snapshot: date) -> str:
    return f"{PROD}/{table}/snapshot_date={snapshot}/"


def version_prefix(table: str, snapshot: date, version: str) -> str:
    return f"{versions_prefix(table, snapshot)}version={version}/"


def manifest_key(dag_id: str, snapshot: date) -> str:
    return f"{PROD}/manifests/{dag_id}/snapshot_date={snapshot}.json"


def version_manifests_prefix(dag_id: str) -> str:
    return f"{PROD}/publications/{dag_id}/"


def version_manifest_key(dag_id: str, snapshot: date, version: str) -> str:
    return f"{version_manifests_prefix(dag_id)}{snapshot}.{version}.json"


def publication_prefix(dag_id: str) -> str:
    return f"{REPORTS}/publications/{dag_id}/"


def publication_key(dag_id: str, snapshot: date, publication: str) -> str:
    return f"{publication_prefix(dag_id)}{snapshot}.{publication}.json"


def report_key(dag_id: str, run: str) -> str:
    return f"{REPORTS}/{dag_id}/run={run}.json"


def freshness_key(dag_id: str) -> str:
    return f"{REPORTS}/freshness/{dag_id}.json"


def s3_uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"
