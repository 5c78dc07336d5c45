"""The S3 layout: which prefix holds what, and how keys are built and parsed.

One bucket per environment; the first part of a key says what may be done there. A slice is the unit of publication:
one value of a pipeline's slice column (``2026-11-01``, ``2024Q2``, ``all``). ``<name>`` is that of a pipeline or tool::

    landing/<dataset>/<folder>/<file>                    uploads; a key here is work to do
    archive/<dataset>/<folder>/<file>                    the upload as it came, after it was processed
    bronze/<dataset>/<slice column>=<s>/<upload>-<n>.jsonl  canonical lines of one version of one upload; below run=<run>/
                                                         if only the run that loaded it reads it
    staging/<name>/run=<run>/...                         private to one run
    prod/<result>/<slice column>=<s>/version=<v>/...     what readers see
    prod/manifests/<name>/<s>.json                       what is published of a slice, written last
    prod/publications/<name>/<s>.<v>.json                the manifest of each version that ever was
    quarantine/<dataset>/<folder>/<file>_rejects.jsonl   rejected lines, each with its reason
    quarantine/<dataset>/skipped/<rest of the key>       objects that are not data, or cannot be read
    reports/<name>/run=<run>.json                        what became of every line of a run; what a tool did
    publications/<name>/<s>.<publication>.json           one record of each publication and rollback
    freshness/<name>.json                                whether an alert was sent that nothing was published
    fetched/<source>/<id>.json                           what was fetched last of one file of a source
    athena-results/                                      the workgroup's scratch
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medlaunch.declaration import Dataset

LANDING = "landing"
ARCHIVE = "archive"
BRONZE = "bronze"
STAGING = "staging"
PROD = "prod"
QUARANTINE = "quarantine"
REPORTS = "reports"
PUBLICATIONS = "publications"
FRESHNESS = "freshness"
FETCHED = "fetched"
ATHENA_RESULTS = "athena-results"
#: Results of readers' queries, apart from those of the pipelines.
READERS_RESULTS = f"{ATHENA_RESULTS}/readers"

REJECTS_SUFFIX = "_rejects.jsonl"

# Longest object key of S3, in bytes of UTF-8.
_KEY_BYTES = 1024
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SLICE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


class SkipReason(StrEnum):
    """Why an object under ``landing/`` is not data."""

    FOLDER_MARKER = "folder_marker"
    NOT_IN_A_FOLDER = "not_in_a_folder"
    FOLDER_IS_NO_SLICE = "folder_is_no_slice"
    HIDDEN_FILE = "hidden_file"
    EMPTY_OBJECT = "empty_object"
    UNKNOWN_EXTENSION = "unknown_extension"
    KEY_TOO_LONG = "key_too_long"


@dataclass(frozen=True, slots=True)
class LandingKey:
    """A data upload's place: ``landing/<dataset>/<rest>``; ``slice`` if the first folder of the rest says it."""

    slice: str | None
    rest: str


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


def date_slice(folder: str) -> str:
    """A folder that is a calendar date, as the slice it names.

    Raises:
        ValueError: if it is none.
    """
    return parse_date(folder).isoformat()


def check_slice(text: str) -> str:
    """A slice that can be a part of keys and partitions: letters, digits, hyphens and underscores.

    Raises:
        ValueError: naming the text, for anything else.
    """
    if not _SLICE.fullmatch(text):
        raise ValueError(f"{text!r} is no slice: use 1 to 64 letters, digits, - and _")
    return text


def landing_prefix(dataset: str) -> str:
    return f"{LANDING}/{dataset}/"


def parse_landing_key(dataset: Dataset, key: str, size: int) -> LandingKey | SkipReason:
    """Tell what an object under ``landing/<dataset>/`` is, from its key and size in bytes.

    Returns the parsed key of a data file, or the reason why it is skipped.
    """
    rest = key.removeprefix(landing_prefix(dataset.name))
    if rest.endswith("/") or not rest:
        return SkipReason.FOLDER_MARKER
    if rest.rsplit("/", 1)[-1].startswith("."):
        return SkipReason.HIDDEN_FILE
    slice_ = None
    if dataset.slice_of_folder is not None:
        folder, slash, _ = rest.partition("/")
        if not slash:
            return SkipReason.NOT_IN_A_FOLDER
        try:
            slice_ = dataset.slice_of_folder(folder)
        except ValueError:
            return SkipReason.FOLDER_IS_NO_SLICE
    if size == 0:
        return SkipReason.EMPTY_OBJECT
    if not rest.lower().removesuffix(".gz").endswith(dataset.extensions):
        return SkipReason.UNKNOWN_EXTENSION
    if len(rejects_key(dataset.name, rest).encode()) > _KEY_BYTES:
        return SkipReason.KEY_TOO_LONG
    return LandingKey(slice_, rest)


def landing_key(dataset: str, rest: str) -> str:
    return f"{landing_prefix(dataset)}{rest}"


def archive_prefix(dataset: str) -> str:
    return f"{ARCHIVE}/{dataset}/"


def archive_key(landing: str) -> str:
    """Where a processed upload is kept: the same place below ``archive/``."""
    return ARCHIVE + landing.removeprefix(LANDING)


def landing_key_of(archived: str) -> str:
    """Where an archived upload came from, and goes when it is replayed."""
    return LANDING + archived.removeprefix(ARCHIVE)


def quarantine_prefix(dataset: str) -> str:
    return f"{QUARANTINE}/{dataset}/"


def skipped_prefix(dataset: str) -> str:
    return f"{quarantine_prefix(dataset)}skipped/"


def skipped_key(dataset: str, landing: str) -> str:
    """Where an object that was skipped is kept."""
    rest = landing.removeprefix(landing_prefix(dataset))
    # This place has a longer name than landing/.
    return f"{skipped_prefix(dataset)}{rest}".encode()[:_KEY_BYTES].decode(errors="ignore")


def rejects_key(dataset: str, rest: str) -> str:
    """Where the rejected lines of an upload are kept; ``rest`` is its key below ``landing/<dataset>/``."""
    return f"{quarantine_prefix(dataset)}{rest}{REJECTS_SUFFIX}"


def upload_id(key: str, etag: str, last_modified: datetime) -> str:
    """Names one version of one upload: 24 hex digits, the same whenever it is asked."""
    text = "\0".join((key, etag, last_modified.isoformat()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def partition(column: str, slice_: str) -> str:
    """The folder of a slice, as Hive names partitions."""
    return f"{column}={slice_}/"


def bronze_key(dataset: str, column: str, slice_: str, upload: str, part: int, run: str | None = None) -> str:
    """``run`` if only that run reads it, so that its statements read nothing of earlier runs."""
    folder = partition(column, slice_) + (partition("run", run) if run else "")
    return f"{BRONZE}/{dataset}/{folder}{upload}-{part:05d}.jsonl"


def run_key(run_id: str) -> str:
    """A run id as one safe part of a key: readable, and never the same for two run ids."""
    if not _UNSAFE.search(run_id) and len(run_id) <= 100:
        return run_id
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{_UNSAFE.sub('-', run_id)[:100]}-{digest}"


def staging_prefix(name: str, run: str) -> str:
    return f"{STAGING}/{name}/run={run}/"


def versions_prefix(result: str, column: str, slice_: str) -> str:
    return f"{PROD}/{result}/{partition(column, slice_)}"


def version_prefix(result: str, column: str, slice_: str, version: str) -> str:
    return f"{versions_prefix(result, column, slice_)}version={version}/"


def manifests_prefix(name: str) -> str:
    return f"{PROD}/manifests/{name}/"


def manifest_key(name: str, slice_: str) -> str:
    return f"{manifests_prefix(name)}{slice_}.json"


def version_manifests_prefix(name: str) -> str:
    return f"{PROD}/publications/{name}/"


def version_manifest_key(name: str, slice_: str, version: str) -> str:
    return f"{version_manifests_prefix(name)}{slice_}.{version}.json"


def publication_prefix(name: str) -> str:
    return f"{PUBLICATIONS}/{name}/"


def publication_key(name: str, slice_: str, publication: str) -> str:
    return f"{publication_prefix(name)}{slice_}.{publication}.json"


def reports_prefix(name: str) -> str:
    return f"{REPORTS}/{name}/"


def report_key(name: str, run: str) -> str:
    return f"{reports_prefix(name)}run={run}.json"


def freshness_key(name: str) -> str:
    return f"{FRESHNESS}/{name}.json"


def fetched_prefix(source: str) -> str:
    return f"{FETCHED}/{source}/"


def fetched_key(source: str, file: str) -> str:
    return f"{fetched_prefix(source)}{file}.json"


def parts_root(name: str) -> str:
    """What has come of files that are being fetched; runs share it, so that one goes on where another stopped."""
    return f"{STAGING}/{name}/parts/"


def parts_prefix(name: str, source: str, file: str) -> str:
    return f"{parts_root(name)}{source}/{file}/"


def s3_uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"
