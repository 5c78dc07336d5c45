"""What outlives the process: an SQLite index and the folder of bodies.

Objects, buckets and the Glue catalog are written before a request is answered, so that a killed server
finds all it has acknowledged; the other services are saved shortly after they changed, and at the end.
"""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
import sqlite3
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

log = logging.getLogger("local_aws.state")

FORMAT = "1"


class IncompatibleState(Exception):
    """The state folder was written by other versions."""


_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, state BLOB NOT NULL);
-- position: the order of a key's versions, oldest first. body: file name, NULL for a delete marker.
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL, body TEXT, state BLOB NOT NULL,
    PRIMARY KEY (bucket, key, position)
) WITHOUT ROWID;
-- Multipart uploads in progress, and their parts.
CREATE TABLE IF NOT EXISTS uploads (id TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS glue (
    region TEXT NOT NULL, database TEXT NOT NULL, name TEXT NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (region, database, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS backends (
    service TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (service, account, region)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executions (id TEXT PRIMARY KEY, region TEXT NOT NULL, submitted REAL NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS athena (region TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL);
"""


class State:
    """A state folder. One process at a time."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        """Raises IncompatibleState."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.bodies = folder / "bodies"
        self._db = sqlite3.connect(
            folder / "index.sqlite", check_same_thread=False, isolation_level=None, timeout=2
        )
        self._lock = threading.RLock()
        self._depth = 0
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing that it wrote; only a power cut could lose the last moments.
            self._db.execute(f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}")
            self._db.executescript(_TABLES)
        except sqlite3.OperationalError as e:
            self._db.close()
            raise IncompatibleState(f"The state folder {folder} is in use by another local_aws ({e})") from e
        except sqlite3.DatabaseError as e:
            self._db.close()
            raise IncompatibleState(
                f"{folder / 'index.sqlite'} is damaged ({e}); start with --reset to begin anew"
            ) from e
        self._check_versions()

    def _check_versions(self) -> None:
        mine = {"format": FORMAT, "moto": version("moto")}
        have = dict(self._db.execute("SELECT name, value FROM meta"))
        if not have:
            with self.transaction() as db:
                db.executemany("INSERT INTO meta VALUES (?, ?)", mine.items())
            return
        if {k: have.get(k) for k in mine} != mine:
            self._db.close()
            was = ", ".join(f"{k} {have.get(k)}" for k in mine)
            now = ", ".join(f"{k} {v}" for k, v in mine.items())
            raise IncompatibleState(
                f"The state folder {self.folder} was written with {was}; this is {now}. Start with --reset to begin anew (all data in it is lost), or use the old version"
            )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything in it is written, or nothing. Nested ones are part of the outer."""
        with self._lock:
            outer = self._depth == 0
            self._depth += 1
            if outer:
                self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._depth -= 1
                if outer:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if outer:
                self._db.execute("COMMIT")

    @property
    def nested(self) -> bool:
        """Whether the calling thread is inside a transaction: nothing is written for good yet."""
        with self._lock:
            return self._depth > 0

    def rows(self, sql: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
        with self._lock:
            yield from self._db.execute(sql, parameters).fetchall()

    def close(self) -> None:
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()


class _Pickler(pickle.Pickler):
    """Saves locks as new, free ones, and the private keys of KMS as PEM: moto keeps both among its data."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _RLOCK):
            return threading.RLock, ()
        if isinstance(value, _LOCK):
            return threading.Lock, ()
        if isinstance(value, RSAPrivateKey | EllipticCurvePrivateKey):
            pem = value.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            return _private_key, (pem,)
        return NotImplemented


def _private_key(pem: bytes) -> Any:
    return load_pem_private_key(pem, None)


_RLOCK, _LOCK = type(threading.RLock()), type(threading.Lock())


def dumps(value: Any) -> bytes:
    out = io.BytesIO()
    _Pickler(out, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return out.getvalue()


def loads(data: bytes) -> Any:
    """State that this program wrote itself, in a folder of the user's own."""
    return pickle.loads(data)  # noqa: S301


__all__ = ["IncompatibleState", "State", "dumps", "loads"]
