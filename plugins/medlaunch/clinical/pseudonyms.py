"""Pseudonyms: keyed hashes that stand for the ids of patients, encounters and conditions in published tables."""

from __future__ import annotations

from hashlib import sha256

# 128 bits: of a billion ids no two have the same.
_DIGITS = 32
_KEY_ID_DIGITS = 8
_BLOCK = 64


class Pseudonyms:
    """The pseudonyms that a secret key makes; the same key gives the same id the same one, in whatever upload it is.

    HMAC-SHA256 of ``<type>/<id>``, the first 128 bits in hexadecimal. Nobody without the key can try ids. ``key_id``
    tells keys apart and says nothing about them.
    """

    def __init__(self, key: bytes):
        # The two hashes of HMAC (RFC 2104) after the key, copied for each id: hmac.digest takes five times as long.
        key = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in key))
        self.key_id = self._digest("key id")[:_KEY_ID_DIGITS]

    def of(self, kind: str, id_: str) -> str:
        """The pseudonym of a resource."""
        return self._digest(f"{kind}/{id_}")[:_DIGITS]

    def _digest(self, text: str) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return outer.hexdigest()

    def of_encounter(self, id_: str | None) -> str | None:
        """The pseudonym of an encounter that is referred to."""
        return None if id_ is None else self.of("Encounter", id_)
