"""Pseudonyms: keyed hashes that stand for the ids of patients, encounters and conditions in published tables."""

from __future__ import annotations

import hmac

from medlaunch.clinical.elements import Memo

# 128 bits: of a billion ids no two have the same.
_DIGITS = 32
_KEY_ID_DIGITS = 8


class Pseudonyms:
    """The pseudonyms that a secret key makes; the same key gives the same id the same one, in whatever upload it is.

    HMAC-SHA256 of ``<type>/<id>``, the first 128 bits in hexadecimal. Nobody without the key can try ids. ``key_id``
    tells keys apart and says nothing about them.
    """

    def __init__(self, key: bytes):
        self._key = key
        self.key_id = hmac.digest(key, b"key id", "sha256").hex()[:_KEY_ID_DIGITS]
        # A patient or encounter is mostly referred to several times in a row.
        self._patients: Memo[str] = Memo(lambda id_: self.of("Patient", id_))
        self._encounters: Memo[str] = Memo(lambda id_: self.of("Encounter", id_))

    def of(self, kind: str, id_: str) -> str:
        """The pseudonym of a resource."""
        return hmac.digest(self._key, f"{kind}/{id_}".encode(), "sha256").hex()[:_DIGITS]

    def of_patient(self, reference: str | None) -> str | None:
        """The pseudonym of a patient as referred to: an id, or ``identifier:SYSTEM|VALUE``."""
        return None if reference is None else self._patients[reference]

    def of_encounter(self, id_: str | None) -> str | None:
        """The pseudonym of an encounter that is referred to."""
        return None if id_ is None else self._encounters[id_]
