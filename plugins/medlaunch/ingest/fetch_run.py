"""One run that fetches: what each source offers, which of it is fetched now, and each file into landing.

What was fetched is remembered in ``fetched/<source>/``, one document per file. What has come of a file is kept in
staging until the file is in landing and remembered, so that a retry, or a later run, goes on where one stopped.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Protocol

import msgspec

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import get_bytes, head_object, in_parallel, list_objects, put_json
from medlaunch.ingest.fetch import Catalogue, DriveFolder, Fetched, RemoteFile, Source, to_fetch
from medlaunch.ingest.fetch_parts import SHA256, StagedParts
from medlaunch.operate import task_metrics
from medlaunch.operate.report import many

if TYPE_CHECKING:
    from medlaunch.ingest.fetch_http import Parts

log = logging.getLogger(__name__)

#: Airflow Variable with other sources than those of the repository: JSON, a list.
VARIABLE = "medlaunch_fetch_sources"

# Documents of a run, by their names in its staging prefix.
SOURCES = "sources.json"
PLAN = "plan.json"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a source offers: how many files, and those of them to ask for, oldest first."""

    source: str
    offered: int
    files: list[RemoteFile]


class FetchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a run, in the order in which they are fetched.

    ``left`` are for a later run; ``unlisted`` are sources that could not be listed.
    """

    files: list[RemoteFile]
    left: list[RemoteFile]
    offered: dict[str, int]
    unlisted: list[str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file: ``landed`` under its key, or ``unchanged`` since it was fetched. ``size`` in bytes."""

    landed: bool
    size: int


def listing_name(source: str) -> str:
    return f"listings/{source}.json"


def outcome_name(number: int) -> str:
    return f"outcomes/{number:04d}.json"


# --- sources ---------------------------------------------------------------------------------------


def read_sources(document: str, datasets: Collection[str]) -> list[Source]:
    """Sources as the Variable has them: a JSON list; ``datasets``: where their files may land.

    Raises:
        ValueError: if it is none, saying what is wrong.
    """
    try:
        sources = msgspec.json.decode(document, type=list[Catalogue | DriveFolder])
    except msgspec.DecodeError as error:
        raise ValueError(f"The Airflow Variable {VARIABLE} is no list of sources: {error}") from error
    names = [one.name for one in sources]
    for source in sources:
        if not _NAME.fullmatch(source.name) or names.count(source.name) > 1:
            raise ValueError(
                f"The Airflow Variable {VARIABLE} has a source {source.name!r}: a name is given once, "
                "and has 1 to 40 letters in lower case, digits, - and _"
            )
        if unknown := sorted(set(source.datasets) - set(datasets)):
            raise ValueError(
                f"The source {source.name!r} has files for {', '.join(unknown)}; "
                f"fetched files may land in {', '.join(sorted(datasets))}"
            )
    return sources


def choose(sources: Sequence[Source], names: Collection[str] | None, dataset: str | None) -> list[Source]:
    """The sources of these names, with the files of one dataset; None: all.

    Raises:
        ValueError: if nothing is left, or a name is none of a source.
    """
    known = [one.name for one in sources]
    if unknown := sorted(set(names or ()) - set(known)):
        raise ValueError(f"sources names {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
    chosen = [one for one in sources if not names or one.name in names]
    if dataset:
        chosen = [one.only(dataset) for one in chosen if dataset in one.datasets]
    if not chosen:
        raise ValueError(f"No source has files for {dataset or 'any dataset'}: see the DAG's documentation")
    return chosen


def _source(run: Run, name: str) -> Source:
    """A source of this run, as it was when the run began."""
    sources = run.get(SOURCES, list[Catalogue | DriveFolder])
    return next(one for one in sources if one.name == name)


class Fetcher(Protocol):
    """Lists and fetches the files of one source."""

    def offered(self) -> list[RemoteFile]:
        """The wanted files."""

    def fetch(self, file: RemoteFile, parts: Parts, known: Fetched | None) -> Fetched | None:
        """Fetch a file into ``parts``, from where these end; None if it is as ``known``."""


@contextmanager
def _fetcher(source: Source) -> Iterator[Fetcher]:
    from medlaunch.settings import settings

    config = settings()
    if isinstance(source, Catalogue):
        import httpx

        from medlaunch.ingest.fetch_http import HttpFetcher, Politeness

        politeness = Politeness(user_agent=config.fetch_user_agent, interval=config.fetch_interval_seconds)
        with httpx.Client(timeout=60, proxy=config.fetch_proxy) as client:
            yield HttpFetcher(client, source, politeness)
        return

    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from medlaunch.ingest.fetch_drive import DriveFetcher, drive_service
    from medlaunch.ingest.fetch_http import FetchRefused

    try:
        connection = BaseHook.get_connection(source.conn_id)
    except AirflowNotFoundException as error:
        raise FetchRefused(
            f"{source.name} needs the Airflow connection {source.conn_id}, with an API key of Google as its password"
        ) from error
    yield DriveFetcher(drive_service(connection.password or "", connection.host or None), source)


# --- plan ------------------------------------------------------------------------------------------


def list_source(run: Run, name: str, since: date | None) -> Listing:
    """Ask a source what it offers, and compare that with what was fetched before.

    Raises:
        FetchFailed: if it does not answer; CatalogueError if its answer is no catalogue.
    """
    with _fetcher(_source(run, name)) as fetcher:
        offered = fetcher.offered()
    ids = {one.id for one in offered}
    prefix = lake.fetched_prefix(name)
    stored = [
        one.key
        for one in list_objects(run.s3, run.bucket, prefix)
        if one.key.removeprefix(prefix).removesuffix(".json") in ids
    ]
    known = {one.url: one for one in in_parallel(lambda key: _fetched(run, key), stored) if one is not None}
    listing = Listing(source=name, offered=len(offered), files=to_fetch(offered, known, since))
    run.put(listing_name(name), listing)
    task_metrics.record(offered=len(offered), files=len(listing.files))
    return listing


def _fetched(run: Run, key: str) -> Fetched | None:
    document = get_bytes(run.s3, run.bucket, key)
    return None if document is None else msgspec.json.decode(document, type=Fetched)


def plan(run: Run, limit: int) -> FetchPlan:
    """Choose the files of this run from what its sources offer, oldest first; writes and returns the plan."""
    files: list[RemoteFile] = []
    offered: dict[str, int] = {}
    unlisted = []
    for source in run.get(SOURCES, list[Catalogue | DriveFolder]):
        document = get_bytes(run.s3, run.bucket, run.path(listing_name(source.name)))
        if document is None:
            unlisted.append(source.name)
            continue
        listing = msgspec.json.decode(document, type=Listing)
        offered[source.name] = listing.offered
        files += listing.files
    files.sort(key=lambda file: file.modified or date.min)
    planned = FetchPlan(files=files[:limit], left=files[limit:], offered=offered, unlisted=unlisted)
    run.put(PLAN, planned)
    task_metrics.record(files=len(planned.files), left=len(planned.left), keys=[run.path(PLAN)])
    return planned


# --- fetch -----------------------------------------------------------------------------------------


def fetch(run: Run, number: int) -> tuple[RemoteFile, Outcome]:
    """Fetch a file of the plan into landing, all at once, unless it is as it was when it was fetched last.

    Doing it again, after any failure, goes on where it stopped and lands nothing twice.

    Raises:
        FetchFailed: if the file does not come.
    """
    file = run.get(PLAN, FetchPlan).files[number]
    done = get_bytes(run.s3, run.bucket, run.path(outcome_name(number)))
    if done is not None:
        return file, msgspec.json.decode(done, type=Outcome)
    record = lake.fetched_key(file.source, file.id)
    known = _fetched(run, record)
    prefix = lake.parts_prefix(run.name, file.source, file.id)
    with (
        _fetcher(_source(run, file.source)) as fetcher,
        StagedParts(run.s3, run.bucket, prefix) as parts,
    ):
        fetched = fetcher.fetch(file, parts, known)
        if fetched is None:  # as it is known, whatever the source says of its date
            assert known is not None
            fetched = msgspec.structs.replace(known, version=file.version)
        is_new = known is None or fetched.sha256 != known.sha256
        if is_new and fetched.sha256 != _landed(run, file.landing_key):
            parts.assemble(file.landing_key, fetched.sha256)
        put_json(run.s3, run.bucket, record, fetched)
        parts.restart(None)
    outcome = Outcome(landed=is_new, size=fetched.size)
    run.put(outcome_name(number), outcome)
    task_metrics.record(landed=int(is_new), bytes=fetched.size if is_new else 0, keys=[file.landing_key])
    return file, outcome


def _landed(run: Run, key: str) -> str | None:
    """The SHA-256 of what was fetched under this key last: it waits in landing, or was archived.

    A process may end after a file has landed and before that is remembered.
    """
    for place in (key, lake.archive_key(key)):
        found = head_object(run.s3, run.bucket, place)
        if found is not None:
            return found["Metadata"].get(SHA256)
    return None


# --- report ----------------------------------------------------------------------------------------


def outcomes(run: Run, planned: FetchPlan) -> list[Outcome | None]:
    """What became of each file of the plan; None: it did not come."""
    documents = in_parallel(
        lambda number: get_bytes(run.s3, run.bucket, run.path(outcome_name(number))),
        range(len(planned.files)),
    )
    return [None if one is None else msgspec.json.decode(one, type=Outcome) for one in documents]


def summary(planned: FetchPlan, came: Sequence[Outcome | None] | None) -> str:
    """One sentence on the run; ``came`` None: a dry run."""
    offered = f"{many(len(planned.offered), 'source')} with {many(sum(planned.offered.values()), 'file')}"
    if not planned.files:
        text = f"Nothing new: {offered}"
    elif came is None:
        text = f"Dry run: would fetch {many(len(planned.files), 'file')} ({offered})"
    else:
        landed = [one for one in came if one is not None and one.landed]
        unchanged = sum(one is not None and not one.landed for one in came)
        missing = sum(one is None for one in came)
        text = f"Fetched {many(len(landed), 'file')}, {sum(one.size for one in landed) / 1e6:,.1f} MB ({offered})"
        text += f"; {unchanged} had not changed" if unchanged else ""
        text += f"; {missing} did not come" if missing else ""
    text += f"; {len(planned.left)} left for the next run" if planned.left else ""
    return text + (f"; could not list {', '.join(planned.unlisted)}" if planned.unlisted else "")


def lines(planned: FetchPlan, came: Sequence[Outcome | None] | None) -> list[str]:
    """One line per file of the plan."""

    def state(number: int) -> str:
        one = None if came is None else came[number]
        if came is None:
            return "would be fetched"
        if one is None:
            return "did not come; see the log of fetch_file"
        return f"landed, {one.size / 1e6:,.1f} MB" if one.landed else "had not changed"

    return [
        f"{file.source}: {file.landing_key} ({file.modified or 'no date'}): {state(number)}"
        for number, file in enumerate(planned.files)
    ]
