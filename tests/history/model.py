"""What readers see after uploads, runs, replays and rollbacks, written down as plainly as possible.

Shares no code with the product. What a set of uploads gives is the matter of the models of the three pipelines; here is which
uploads a slice is made of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace


class Wrong(AssertionError):
    """The pipeline did what the rules do not allow."""


@dataclass(frozen=True)
class Upload:
    """One arrival of a file. ``second`` is when it first came; ``slices`` those of its lines, none if it cannot be read.

    ``replayed``: it came again from the archive, and not for the slices from which a rollback has excluded it.
    """

    dataset: str
    key: str
    body: bytes
    second: int
    arrival: int
    slices: frozenset[str]
    replayed: bool = False

    @property
    def order(self) -> tuple[int, str]:
        return self.second, self.key


@dataclass(eq=False)
class Version:
    """``inputs`` are the uploads that it lists, ``merged`` all whose records it may hold; ``before`` is what it followed."""

    inputs: tuple[Upload, ...]
    merged: frozenset[Upload]
    data_end: str | None
    before: Version | None
    name: str = ""


class Track:
    """A pipeline, or one of the two of staffing: what waits, what is archived, and what readers see of each slice.

    ``recomputes``: a slice is made anew of the latest upload of each name. Otherwise records are merged, and none is lost.
    """

    def __init__(self, name: str, *datasets: str, recomputes: bool = False, refreshes: bool = False):
        self.name, self.datasets, self.recomputes, self.refreshes = name, datasets, recomputes, refreshes
        self.waiting: dict[str, Upload] = {}
        self.archive: dict[str, Upload] = {}
        self.seen: dict[str, Version] = {}
        self.known: defaultdict[str, list[Version]] = defaultdict(list)
        self.excluded: defaultdict[str, set[Upload]] = defaultdict(set)
        #: (slice, action, version) of each publication; ``unrecorded``: a run died before it wrote the record.
        self.log: list[tuple[str, str, str]] = []
        self.unrecorded: dict[str, tuple[str, str, str]] = {}
        #: Versions that a run was publishing when it failed: each table shows them or what was seen before.
        self.torn: defaultdict[str, list[Version]] = defaultdict(list)

    def planned(self, uploads: Iterable[Upload], data_end: str | None = None) -> dict[str, Version]:
        """The versions that a run would publish that takes these uploads."""
        good = [one for one in uploads if one.slices]
        touched = {slice_ for one in good for slice_ in one.slices}
        if not good and self.refreshes:
            return {
                slice_: replace(old, data_end=data_end, before=old, name="")
                for slice_, old in self.seen.items()
            }
        found = {}
        for slice_ in touched:
            fresh = [one for one in good if slice_ in one.slices and not self._is_excluded(slice_, one)]
            if fresh:
                found[slice_] = self._follow(self.seen.get(slice_), fresh, data_end)
        return found

    def _follow(self, old: Version | None, fresh: list[Upload], data_end: str | None) -> Version:
        names = {one.key: one for one in fresh}
        kept = [one for one in (old.inputs if old else ()) if one.key not in names]
        if self.recomputes:
            listed = {one.key: one for one in (old.inputs if old else ())}
            kept = [one for key, one in listed.items() if key not in names or one.order > names[key].order]
            fresh = [one for one in fresh if one.key not in {other.key for other in kept}]
            return Version((*kept, *fresh), frozenset((*kept, *fresh)), data_end, old)
        return Version((*kept, *fresh), (old.merged if old else frozenset()).union(fresh), data_end, old)

    def publish(
        self, slice_: str, version: Version, name: str, *, certain: bool, action: str = "publish"
    ) -> None:
        version.name = name
        self.seen[slice_] = version
        if action != "rollback":
            self.known[slice_].append(version)
        self.log.append((slice_, action, name))
        self.torn.pop(slice_, None)
        self.unrecorded.pop(slice_, None)
        if not certain:
            self.unrecorded[slice_] = self.log[-1]

    def archive_upload(self, key: str) -> None:
        upload = self.waiting.pop(key)
        if upload.slices:
            self.archive[key] = upload

    def roll_back(self, slice_: str, to: Version) -> None:
        """A rollback lasts: what the version brought is not published again, unless it is uploaded or replayed again."""
        self.excluded[slice_] |= set(self.seen[slice_].inputs) - set(to.inputs)
        self.excluded[slice_] -= set(to.inputs)
        self.publish(slice_, to, to.name, certain=True, action="rollback")

    def replay(self, dataset: str, first: str, last: str, readmits: bool, arrival: int) -> list[str]:
        """Archived uploads wait again, as old as they were: a replay never wins over a later upload.

        What a rollback has excluded from a slice stays excluded from it, unless it is asked for.
        """
        chosen = {}
        for slice_ in self.slices(dataset, first, last):
            for key, one in self.archive.items():
                again = replace(one, arrival=arrival, replayed=not readmits)
                if slice_ in one.slices and one.dataset == dataset and not self._is_excluded(slice_, again):
                    chosen[key] = again
        chosen = {key: one for key, one in chosen.items() if key not in self.waiting}
        self.waiting |= chosen
        return sorted(chosen)

    def _is_excluded(self, slice_: str, upload: Upload) -> bool:
        orders = {one.order for one in self.excluded[slice_]}
        if slice_ in self.seen:
            orders -= {one.order for one in self.seen[slice_].inputs}
        return upload in self.excluded[slice_] or (upload.replayed and upload.order in orders)

    def slices(self, dataset: str, first: str, last: str) -> list[str]:
        archived = {
            slice_ for one in self.archive.values() if one.dataset == dataset for slice_ in one.slices
        }
        return sorted(slice_ for slice_ in archived if first <= slice_ <= last)
