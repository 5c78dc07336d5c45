"""Files of a shared Google Drive folder, by its public API and Google's client library.

The library (``google-api-python-client``) is not in MWAA's image, so it is imported where it is used. A folder that
anybody with the link may read needs an API key alone, which only says who asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from medlaunch.ingest.fetch import (
    DriveFolder,
    Fetched,
    RemoteFile,
    day_of,
    safe_name,
    with_names_of_their_own,
)
from medlaunch.ingest.fetch_http import ContentDiffers, FetchFailed, FetchRefused

if TYPE_CHECKING:
    from medlaunch.ingest.fetch_http import Parts

_FOLDER = "application/vnd.google-apps.folder"
_FIELDS = "nextPageToken, files(id, name, mimeType, size, md5Checksum, modifiedTime)"
_SCHEME = "drive:"
_RESTARTS = 3


def drive_service(api_key: str, endpoint: str | None = None) -> Any:
    """The client of the Drive API, version 3; ``endpoint`` for another server than Google's.

    Raises:
        FetchRefused: if the library is not installed.
    """
    try:
        from googleapiclient.discovery import build
    except ImportError as error:
        raise FetchRefused(
            "Google Drive needs the library google-api-python-client: add it to the environment's requirements.txt"
        ) from error
    options = {"api_endpoint": endpoint} if endpoint else None
    # The description of the API is part of the library: nothing is downloaded to make a client.
    return build(
        "drive",
        "v3",
        developerKey=api_key,
        client_options=options,
        static_discovery=True,
        cache_discovery=False,
    )


@dataclass(frozen=True)
class DriveFetcher:
    """Lists and fetches the files of one folder and of the folders in it.

    Attributes:
        service: of :func:`drive_service`.
        retries: how often the library repeats a request that failed for a while, with waits that double.
        chunk: bytes of a request.
        max_folders: of one listing.
    """

    service: Any
    folder: DriveFolder
    retries: int = 6
    chunk: int = 32 * 1024**2
    max_folders: int = 200

    def offered(self) -> list[RemoteFile]:
        """The wanted files, in the order of their names.

        Raises:
            FetchFailed: if the folder cannot be listed.
        """
        waiting, seen = [self.folder.folder_id], {self.folder.folder_id}
        files = []
        while waiting:
            for entry in self._entries(waiting.pop()):
                if entry["mimeType"] == _FOLDER:
                    if entry["id"] not in seen:
                        seen.add(entry["id"])
                        waiting.append(entry["id"])
                    if len(seen) > self.max_folders:
                        raise FetchFailed(f"{self.folder.name} has more than {self.max_folders} folders")
                elif "md5Checksum" in entry and safe_name(entry["name"]).lower().endswith(
                    self.folder.extensions
                ):
                    files.append(self._file(entry))
        return with_names_of_their_own(sorted(files, key=lambda file: (file.name, file.url)))

    def _entries(self, folder_id: str) -> Iterator[dict[str, Any]]:
        if not folder_id.replace("-", "").replace("_", "").isalnum():
            raise FetchRefused(f"{folder_id!r} is no id of a folder in Drive")
        token = None
        while True:
            page = self._execute(
                self.service.files().list(
                    q=f"'{folder_id}' in parents and trashed = false",
                    fields=_FIELDS,
                    pageSize=1000,
                    pageToken=token,
                    supportsAllDrives=True,
                    includeItemsFromAllDrives=True,
                )
            )
            yield from page.get("files", ())
            token = page.get("nextPageToken")
            if not token:
                return

    def _file(self, entry: dict[str, Any]) -> RemoteFile:
        return RemoteFile(
            source=self.folder.name,
            dataset=self.folder.dataset,
            name=safe_name(entry["name"]),
            url=f"{_SCHEME}{entry['id']}",
            version=entry["md5Checksum"],
            modified=day_of(entry.get("modifiedTime")),
            size=int(entry["size"]),
            md5=entry["md5Checksum"],
        )

    def fetch(self, file: RemoteFile, parts: Parts, known: Fetched | None = None) -> Fetched:  # noqa: ARG002
        """Fetch a file into ``parts``, from where these end; a file that is replaced meanwhile begins again.

        Drive says of each file which content it has, so what is ``known`` is not asked for.

        Raises:
            FetchFailed: if it does not come; what came is kept.
        """
        for _ in range(_RESTARTS):
            if parts.version != file.md5 or parts.size > (file.size or 0):
                parts.restart(file.md5)
            try:
                return self._fetch(file, parts)
            except ContentDiffers as error:
                parts.restart(None)
                wrong = error
                file = self._now(file)
        raise wrong

    def _fetch(self, file: RemoteFile, parts: Parts) -> Fetched:
        size = file.size or 0
        while parts.size < size:
            request = self.service.files().get_media(fileId=_id(file), supportsAllDrives=True)
            last = min(size, parts.size + self.chunk) - 1
            request.headers["Range"] = f"bytes={parts.size}-{last}"
            wanted = last + 1 - parts.size
            data = self._execute(request)
            # A file of one chunk may come as a whole, as status 200.
            if len(data) != wanted:
                raise ContentDiffers(
                    f"{file.name} ({file.url}): {wanted} bytes were asked for, {len(data)} came"
                )
            parts.append(data)
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        for piece in parts.read():
            sha256.update(piece)
            md5.update(piece)
        if md5.hexdigest() != file.md5:
            raise ContentDiffers(
                f"{file.name} ({file.url}): MD5 announced {file.md5}, came {md5.hexdigest()}"
            )
        return Fetched(
            url=file.url, key=file.landing_key, size=size, sha256=sha256.hexdigest(), version=file.version
        )

    def _now(self, file: RemoteFile) -> RemoteFile:
        """What Drive says of a file now."""
        entry = self._execute(
            self.service.files().get(
                fileId=_id(file), fields="id, name, size, md5Checksum", supportsAllDrives=True
            )
        )
        current = self._file(entry)
        return msgspec.structs.replace(file, version=current.version, size=current.size, md5=current.md5)

    def _execute(self, request: Any) -> Any:
        from googleapiclient.errors import HttpError

        try:
            return request.execute(num_retries=self.retries)
        except HttpError as error:
            status = error.resp.status
            if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise ContentDiffers(f"{self.folder.name}: a file is shorter than it was") from error
            transient = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            kind = FetchFailed if transient else FetchRefused
            raise kind(f"{self.folder.name}: Drive answers {status} ({_message(error)})") from error
        except OSError as error:
            raise FetchFailed(f"{self.folder.name}: {type(error).__name__}: {error}") from error


def _id(file: RemoteFile) -> str:
    return file.url.removeprefix(_SCHEME)


def _message(error: Any) -> str:
    """What Drive says in words; never the address, which has the key in it."""
    try:
        return str(json.loads(error.content)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return "no message"
