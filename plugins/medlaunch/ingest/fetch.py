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
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from medlaunch import lake

#: Catalogues of whole agencies have about 20 MB.
CATALOGUE_BYTES = 128 * 1024**2
_UNSAFE = re.compile(r"[^A-Za-z0-9._() -]+")


class CatalogueError(ValueError):
    """A document that is no catalogue, or an address that a source must not name."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Files of a catalogue that are wanted.

    Attributes:
        title: of the dataset in the catalogue, without regard to case and white space.
        dataset: where its files go below ``landing/``.
        extensions: endings of names, lower case; other distributions (pages, APIs, dictionaries) are not wanted.
    """

    title: str
    dataset: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where files come from.

    Attributes:
        name: a folder below ``landing/<dataset>/``.
        catalogue: its address.
        wanted: what to take of it.
        hosts: other hosts than the catalogue's that its files may be on. A catalogue is data: it must not be able to
            send a worker to any address.
    """

    name: str
    catalogue: str
    wanted: tuple[Wanted, ...]
    hosts: tuple[str, ...] = ()


class RemoteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a source offers.

    ``version`` changes when the source says that the file did, None if it says nothing; ``size`` in bytes; ``sha256``
    and ``md5`` in hex, if the source publishes them.
    """

    source: str
    dataset: str
    name: str
    url: str
    version: str | None = None
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


def read_catalogue(document: bytes, source: Source) -> list[RemoteFile]:
    """The wanted files of a ``data.json``, each address once, in its order.

    Raises:
        CatalogueError: if it is none, lacks a wanted dataset, or names an address that the source must not name.
    """
    try:
        catalogue = msgspec.json.decode(document)
        datasets = {_words(one["title"]): one for one in catalogue["dataset"]}
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise CatalogueError(
            f"{source.catalogue} is no DCAT-US catalogue: it must be JSON with dataset[].title ({error!r})"
        ) from error
    files: dict[str, RemoteFile] = {}
    for wanted in source.wanted:
        found = datasets.get(_words(wanted.title))
        if found is None:
            raise CatalogueError(f"{source.catalogue} has no dataset with the title {wanted.title!r}")
        for distribution in found.get("distribution") or ():
            file = _file(source, wanted, found, distribution)
            if file is not None:
                files.setdefault(file.url, file)
    return with_names_of_their_own(list(files.values()))


def safe_name(name: str) -> str:
    """A name that can be the last part of a key, and is no hidden file."""
    return _UNSAFE.sub("-", name).lstrip(".")


def _words(title: str) -> str:
    return " ".join(title.lower().split())


def _file(
    source: Source, wanted: Wanted, dataset: Mapping[str, Any], distribution: Mapping[str, Any]
) -> RemoteFile | None:
    address = distribution.get("downloadURL")
    if not isinstance(address, str) or not address.strip():
        return None
    url = urljoin(source.catalogue, address.strip())
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
    )


def check_address(url: str, source: Source) -> None:
    """An address that a worker may go to: of the catalogue's scheme, on one of the source's hosts.

    Raises:
        CatalogueError: if it is any other.
    """
    catalogue, one = urlsplit(source.catalogue), urlsplit(url)
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


def to_fetch(offered: Iterable[RemoteFile], known: Mapping[str, Fetched]) -> list[RemoteFile]:
    """The files to ask for: new ones, and those that may have changed since they were fetched.

    ``known`` by address. Of a file whose source does not say when it changed, the server is asked each time; it
    answers that nothing changed without sending the file.
    """
    return [
        file
        for file in offered
        if (fetched := known.get(file.url)) is None or file.version is None or file.version != fetched.version
    ]
