"""What uploads are made of: bytes, JSON values, CSV records.

A reader iterates over an upload once, in constant memory, and gives one :data:`Item` for each piece of it, in its
order. Every piece that is not blank is exactly one item, so the items account for the whole file. No bytes make a reader fail, except an upload that cannot be read at all
(:class:`~medlaunch.formats.content.UnreadableUpload`).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")


class Malformed(NamedTuple):
    """In place of a value: this piece is none, for a reason that its kept bytes may not show."""

    note: str


#: ``(line number, raw bytes, value)``. The number is that of the physical line, from 1, on which the piece begins.
#: The value is what the caller's ``decode`` made of the piece, None if ``decode`` refused it although it is well
#: formed, or :class:`Malformed`.
Item: TypeAlias = tuple[int, bytes, T | Malformed | None]
