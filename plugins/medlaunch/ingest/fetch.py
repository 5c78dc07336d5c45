"""What a source offers, compared with what was fetched before: no network, no S3.

A source publishes a catalogue, the ``data.json`` of DCAT-US (https://resources.data.gov/resources/dcat-us/): datasets
with distributions, each a file with an address. What was fetched is remembered by address, so that only what is new or
changed is fetched again, however long ago it was archived.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from medlaunch import lake

#: Catalogues of whole agencies have about 20 MB.
CATALOGUE_BYTES = 128 * 1024**2
_UNSAFE = re.compile(r"[^A-Za-z0-9._() -]+")


class CatalogueError(ValueError):
    """A document that is no catalogue, or an address that a source must not name."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files of a catalogue that are wanted.

    Attributes:
        title: of the dataset in the catalogue, without regard to case and white space.
        identifier: of that dataset, where several have the title.
        dataset: where its files go below ``landing/``.
        extensions: endings of names, lower case; other distributions (pages, APIs, dictionaries) are not wanted.
    """

    title: str
    dataset: str
    extensions: tuple[str, ...]
    identifier: str | None = None


class Catalogue(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="catalogue"
):
    """A source of files over HTTP.

    Attributes:
        name: a folder below ``landing/<dataset>/``.
        url: of the catalogue.
        wanted: what to take of it.
        hosts: other hosts than the catalogue's that its files may be on. A catalogue is data: it must not be able to
            send a worker to any address.
    """

    name: str
    url: str
    wanted: tuple[Wanted, ...]
    hosts: tuple[str, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(one.dataset for one in self.wanted)

    def only(self, dataset: str) -> Catalogue:
        """The same source with the files of one dataset."""
        return msgspec.structs.replace(
            self, wanted=tuple(one for one in self.wanted if one.dataset == dataset)
        )


class DriveFolder(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="drive"
):
    """A shared folder of Google Drive.

    Attributes:
        name: a folder below ``landing/<dataset>/``.
        folder_id: of the folder in Drive, the last part of its link.
        dataset: where its files go below ``landing/``.
        extensions: endings of names, lower case; other files are not wanted, nor are Google's own documents.
        conn_id: the Airflow connection with the API key as its password.
    """

    name: str
    folder_id: str
    dataset: str
    extensions: tuple[str, ...]
    conn_id: str

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,)

    def only(self, dataset: str) -> DriveFolder:  # noqa: ARG002  # a folder has one dataset
        return self


Source: TypeAlias = Catalogue | DriveFolder


class RemoteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a source offers.

    ``version`` changes when the source says that the file did, None if it says nothing; ``modified`` is the day on which
    it did; ``size`` in bytes; ``sha256`` and ``md5`` in hex, if the source publishes them.
    """

    source: str
    dataset: str
    name: str
    url: str
    version: str | None = None
    modified: date | None = None
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def id(self) -> str:
        """Names its address in keys: 16 hex digits."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def landing_key(self) -> str:
        return lake.landing_key(self.dataset, f"{self.source}/{self.name}")


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was fetched last; ``etag`` and ``last_modified`` as the server wrote them."""

    url: str
    key: str
    size: int
    sha256: str
    version: str | None = None
    etag: str | None = None
    last_modified: str | None = None


def read_catalogue(document: bytes, source: Catalogue) -> list[RemoteFile]:
    """The wanted files of a ``data.json``, each address once, in its order.

    Raises:
        CatalogueError: if it is none, lacks a wanted dataset, or names an address that the source must not name.
    """
    try:
        datasets = [(_words(one["title"]), one) for one in msgspec.json.decode(document)["dataset"]]
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise CatalogueError(
            f"{source.url} is no DCAT-US catalogue: it must be JSON with dataset[].title ({error!r})"
        ) from error
    files: dict[str, RemoteFile] = {}
    for wanted in source.wanted:
        found = [
            one
            for title, one in datasets
            if title == _words(wanted.title) and wanted.identifier in (None, one.get("identifier"))
        ]
        if len(found) != 1:
            raise CatalogueError(
                f"{source.url} has {len(found) or 'no'} datasets with the title {wanted.title!r}"
                + (f" and the identifier {wanted.identifier!r}" if wanted.identifier else "")
                + ", not one: compare the source with the catalogue"
            )
        for distribution in found[0].get("distribution") or ():
            file = _file(source, wanted, found[0], distribution)
            if file is not None:
                files.setdefault(file.url, file)
    return with_names_of_their_own(list(files.values()))


def safe_name(name: str) -> str:
    """A name that can be the last part of a key, and is no hidden file."""
    return _UNSAFE.sub("-", name).lstrip(".")


def _words(title: str) -> str:
    return " ".join(title.lower().split())


def _file(
    source: Catalogue, wanted: Wanted, dataset: Mapping[str, Any], distribution: Mapping[str, Any]
) -> RemoteFile | None:
    address = distribution.get("downloadURL")
    if not isinstance(address, str) or not address.strip():
        return None
    url = urljoin(source.url, address.strip())
    name = safe_name(unquote(urlsplit(url).path).rsplit("/", 1)[-1])
    if not name.lower().endswith(wanted.extensions):
        return None
    check_address(url, source)
    modified = distribution.get("modified") or dataset.get("modified")
    return RemoteFile(
        source=source.name,
        dataset=wanted.dataset,
        name=name,
        url=url,
        version=modified if isinstance(modified, str) else None,
        modified=day_of(modified),
    )


def day_of(text: Any) -> date | None:
    """The day of a date or time of ISO 8601; None for anything else."""
    try:
        return date.fromisoformat(text[:10])
    except (TypeError, ValueError):
        return None


def check_address(url: str, source: Catalogue) -> None:
    """An address that a worker may go to: of the catalogue's scheme, on one of the source's hosts.

    Raises:
        CatalogueError: if it is any other.
    """
    catalogue, one = urlsplit(source.url), urlsplit(url)
    if one.scheme not in ("https", catalogue.scheme) or one.username or one.password:
        raise CatalogueError(f"{source.name} names {url[:200]!r}, which is not https")
    if one.netloc not in (catalogue.netloc, *source.hosts):
        raise CatalogueError(
            f"{source.name} names {url[:200]!r}; its host is none of {', '.join((catalogue.netloc, *source.hosts))}"
        )


def with_names_of_their_own(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Two addresses may end in the same name; then both names say which address they are from."""
    keys = Counter(file.landing_key for file in files)
    return [
        file if keys[file.landing_key] == 1 else msgspec.structs.replace(file, name=f"{file.id}-{file.name}")
        for file in files
    ]


def to_fetch(
    offered: Iterable[RemoteFile], known: Mapping[str, Fetched], since: date | None = None
) -> list[RemoteFile]:
    """The files to ask for, oldest first: new ones, and those that may have changed since they were fetched.

    ``known`` by address. Of a file whose source does not say when it changed, the server is asked each time; it
    answers that nothing changed without sending the file. ``since`` leaves out what changed before that day.
    """
    files = [
        file
        for file in offered
        if (fetched := known.get(file.url)) is None or file.version is None or file.version != fetched.version
        if since is None or file.modified is None or file.modified >= since
    ]
    # In the order in which the source published them: later uploads win.
    return sorted(files, key=lambda file: (file.modified or date.min, file.name, file.url))
