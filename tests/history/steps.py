"""A history: random steps on a lake, each followed by a comparison of what readers see with the model."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from tests.history import tables
from tests.history.lake import Disturbance, Ended, Lake
from tests.history.model import Track, Upload, Version, Wrong
from tests.history.tables import Rows, Seen
from tests.history.uploads import MAKERS
from tests.staffing_lake import plain

KINDS = {
    "run": 30,
    "upload": 8,
    "stop": 14,
    "refuse": 6,
    "throttle": 5,
    "lose": 5,
    "at once": 10,
    "meanwhile": 4,
    "replay": 10,
    "roll back": 12,
    "refresh": 3,
    "maintain": 2,
    "maintain meanwhile": 3,
}
DISTURBANCES = ("stop", "refuse", "throttle", "lose")


@dataclass
class Pipeline:
    """A DAG: its tracks, the params that let every upload through, and how its tables follow from what is seen."""

    dag: str
    conf: dict[str, Any]
    tracks: list[Track]
    #: How often it is chosen, beside the others.
    weight: int
    #: How many requests change something, in the last run that came to its end.
    writes: int = 60
    #: A run failed and has not been followed by one that succeeded.
    failed: bool = False

    def track(self, name: str) -> Track:
        return next(one for one in self.tracks if one.name == name)

    def tables(self, swapped: tuple[str, str, Version] | None = None) -> dict[str, Rows]:
        """What its tables show; with one version in another's place if it is asked for."""
        seen: list[Seen] = []
        for track in self.tracks:
            swap = {swapped[1]: swapped[2]} if swapped and swapped[0] == track.name else {}
            seen.append(track.seen | swap)
        makers: dict[str, Any] = {
            "facility_accreditation": tables.accreditation,
            "nurse_staffing": tables.staffing,
            "clinical_quality": tables.clinical,
        }
        return makers[self.dag](*seen)

    @property
    def waiting(self) -> dict[str, Upload]:
        return {key: one for track in self.tracks for key, one in track.waiting.items()}


#: The slice of a row; tables of one slice only have none.
SLICES = {"facility_accreditation": "snapshot_date", "nurse_staffing": "quarter", "clinical_quality": ""}


def _pipelines() -> list[Pipeline]:
    return [
        Pipeline(
            "facility_accreditation",
            {"expect_shrink": True},
            [Track("facility_accreditation", "facilities", recomputes=True)],
            weight=40,
        ),
        Pipeline(
            "nurse_staffing",
            {"expect_change": True},
            [Track("nurse_staffing.pbj", "pbj"), Track("nurse_staffing.provider_info", "provider_info")],
            weight=35,
        ),
        Pipeline(
            "clinical_quality", {}, [Track("clinical_quality", "fhir/bundles", refreshes=True)], weight=25
        ),
    ]


class History:
    """Steps on a lake, in the order that a seed gives. ``said`` is what was done."""

    def __init__(self, lake: Lake, seed: int):
        self.lake, self.rng = lake, random.Random(seed)
        self.pipelines = _pipelines()
        self.said: list[str] = []
        self.counts: Counter[str] = Counter()
        self._arrivals = 0

    def step(self) -> None:
        """Do something, and compare.

        Raises:
            Wrong: with the table and the rows that differ.
        """
        pipeline = self.rng.choices(self.pipelines, [one.weight for one in self.pipelines])[0]
        kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
        if pipeline.failed and kind not in DISTURBANCES:
            kind = "run"
        if kind == "roll back" and not any(self._earlier(track) for track in pipeline.tracks):
            kind = "run"
        if kind == "replay" and not any(track.archive for track in pipeline.tracks):
            kind = "run"
        if kind == "refresh" and (
            pipeline.waiting or not pipeline.tracks[0].refreshes or not pipeline.tracks[0].seen
        ):
            kind = "run"
        self.play(pipeline, kind)

    def play(self, pipeline: Pipeline, kind: str) -> None:
        """Do one thing to a pipeline, and compare."""
        self.said.append(f"{pipeline.dag}: {kind}")
        self.counts[kind] += 1
        if kind == "upload":
            self._upload(pipeline, self.rng.randint(1, 2))
        elif kind == "replay":
            self._replay(pipeline)
        elif kind == "roll back":
            self._roll_back(pipeline)
        elif kind == "maintain":
            self._maintain(self.lake.start)
        else:
            self._run(pipeline, kind)
        self.compare()

    # --- uploads

    def _say(self, text: str) -> None:
        self.said[-1] += f"; {text}"

    def _upload(self, pipeline: Pipeline, count: int, *, new: bool = False) -> list[tuple[Track, Upload]]:
        """Upload files; ``new``: under names that nothing waits under."""
        return [self._put(*self._made(pipeline, new)) for _ in range(count)]

    def _made(self, pipeline: Pipeline, new: bool) -> tuple[Track, Upload]:
        track = self.rng.choice(pipeline.tracks)
        (dataset,) = track.datasets
        name, body, slices = MAKERS[dataset](self.rng, self.rng.random() < 0.1)
        self._arrivals += 1
        key = f"landing/{dataset}/{name}"
        # What a failed run has merged of a file that no later run reads is not for this model to say.
        if key in track.waiting and (new or pipeline.failed):
            stem, _, rest = name.rpartition("/")[2].partition(".")
            key = key.removesuffix(f"{stem}.{rest}") + f"{stem}{self._arrivals}.{rest}"
        return track, Upload(dataset, key, body, 0, self._arrivals, slices)

    def _put(self, track: Track, upload: Upload) -> tuple[Track, Upload]:
        # Two versions of a name in one second are told apart by nothing.
        last = max((one.second for one in self._versions(track) if one.key == upload.key), default=0)
        while int(time.time()) <= last:
            time.sleep(0.05)
        s3, bucket = self.lake.s3, self.lake.bucket
        s3.put_object(Bucket=bucket, Key=upload.key, Body=upload.body)
        came = s3.head_object(Bucket=bucket, Key=upload.key)["LastModified"]
        upload = replace(upload, second=int(came.timestamp()))
        track.waiting[upload.key] = upload
        self._say(f"upload {upload.key} of {'+'.join(sorted(upload.slices)) or 'nothing readable'}")
        return track, upload

    def _versions(self, track: Track) -> Iterable[Upload]:
        yield from track.waiting.values()
        yield from track.archive.values()

    # --- runs

    def _run(self, pipeline: Pipeline, kind: str) -> None:
        data_end = (
            self.rng.choice((None, "2024-03-15", "2024-06-30")) if pipeline.tracks[0].refreshes else None
        )
        conf = pipeline.conf | ({"data_end": data_end} if data_end else {})
        if kind == "refresh":
            conf["refresh"] = True
        else:
            # A run that finds nothing would wait.
            self._upload(pipeline, self.rng.randint(0 if pipeline.waiting else 1, 3))
        before = {track.name: dict(track.waiting) for track in pipeline.tracks}
        disturbance = None
        if kind in (*DISTURBANCES, "at once", "meanwhile", "maintain meanwhile"):
            disturbance = Disturbance(self.rng.randint(1, pipeline.writes), kind)
        extra = self._made(pipeline, True) if kind in ("at once", "meanwhile") else None
        other: list[Ended] = []

        def meanwhile() -> None:
            if extra:
                self._put(*extra)
            if kind == "maintain meanwhile":
                self._maintain(self.lake.start_in_other_process)
            if kind == "at once":
                other.append(self.lake.start_in_other_process(pipeline.dag, **conf))

        ended = self.lake.start(pipeline.dag, disturbance, meanwhile, **conf)
        if disturbance is None:
            pipeline.writes = ended.writes
        self._say(f"{disturbance}: {ended.state}" if disturbance else ended.state)
        if other:
            self._say(f"the other run: {other[0].state}")
        elif kind == "at once" and disturbance and disturbance.happened:
            raise Wrong("The other run did not end: see the log")
        if kind in ("run", "refresh", "maintain meanwhile") and not ended.succeeded:
            raise Wrong(f"A run that nothing disturbed failed: {ended.tasks}")
        for track in pipeline.tracks:
            self._settle(pipeline, track, before[track.name], ended, other, data_end)
        pipeline.failed = not any(one.succeeded for one in (ended, *other))

    def _settle(
        self,
        pipeline: Pipeline,
        track: Track,
        before: dict[str, Upload],
        ended: Ended,
        other: list[Ended],
        data_end: str | None,
    ) -> None:
        """Hand on to the model what cannot be foreseen: which versions were published, and which uploads archived."""
        left = {key for name in track.datasets for key in self.lake.keys(f"landing/{name}/")}
        if strange := left - track.waiting.keys():
            raise Wrong(f"In landing and never uploaded: {sorted(strange)}")
        gone = track.waiting.keys() - left
        if ended.succeeded and (kept := before.keys() & left):
            raise Wrong(f"The run succeeded, and in landing is still {sorted(kept)}")
        for one in other:
            if one.succeeded and left:
                raise Wrong(f"The other run succeeded, and in landing is still {sorted(left)}")
        everything = list(track.waiting.values())
        uploads = {ended.run: [one for key, one in track.waiting.items() if key in before or key in gone]}
        uploads |= {one.run: everything for one in other}
        certain = all(one.succeeded for one in (ended, *other))
        published: set[str] = set()
        slices = {slice_ for one in everything for slice_ in one.slices} | track.seen.keys()
        for slice_ in sorted(slices):
            seen = track.seen.get(slice_)
            chain = self.lake.chain(track.name, slice_, seen.name if seen else "")
            runs = [name.rpartition(".")[0] for name in chain]
            for place, (name, action) in enumerate(chain.items()):
                # What came before the other run began, if that one published after it.
                missed = runs[place] == ended.run and set(runs[place + 1 :]) & {one.run for one in other}
                taken = list(before.values()) if missed else uploads[runs[place]]
                planned = track.planned(taken, data_end)
                if slice_ not in planned:
                    raise Wrong(f"{track.name} {slice_}: version {name} has nothing new")
                # A run whose uploads the other one took, before it could, computes what is there anew.
                wanted = "publish" if any(slice_ in one.slices for one in taken) else "refresh"
                if not place:
                    action = wanted
                track.publish(slice_, planned[slice_], name, certain=certain, action=action)
                published.add(slice_)
        for slice_, version in track.planned(
            (one for key, one in track.waiting.items() if key in gone), data_end
        ).items():
            if slice_ not in published and any(slice_ in one.slices for one in version.inputs):
                fresh = [one.key for one in version.inputs if one.key in gone]
                if fresh:
                    raise Wrong(f"{track.name} {slice_}: {fresh} left landing and was not published")
        prefix = track.name.partition(".")[2]
        publish = f"{prefix}.publish_results" if prefix else "publish_results"
        if any(one.tasks.get(publish) == "failed" for one in (ended, *other)):
            for slice_, version in track.planned(everything, data_end).items():
                if slice_ not in published:
                    track.torn[slice_].append(version)
        for key in gone:
            track.archive_upload(key)

    # --- operators

    def _earlier(self, track: Track) -> list[tuple[str, Version]]:
        """Slices and the versions that they can be rolled back to."""
        return [
            (slice_, version)
            for slice_, seen in sorted(track.seen.items())
            if slice_ not in track.torn
            for version in track.known[slice_]
            if version is not seen
        ]

    def _roll_back(self, pipeline: Pipeline) -> None:
        track = self.rng.choice([one for one in pipeline.tracks if self._earlier(one)])
        slice_, to = self.rng.choice(self._earlier(track))
        before = track.seen[slice_].before
        conf: dict[str, Any] = {
            "pipeline": track.name,
            "slice": slice_,
            "dry_run": False,
            "reason": "history",
        }
        if before is not None and self.rng.random() < 0.6:
            to = before
        else:
            conf["to_version"] = to.name
        ended = self.lake.start("rollback_publication", **conf)
        self._say(f"{slice_} to {to.name}: {ended.state}")
        if not ended.succeeded:
            raise Wrong(f"The rollback failed: {ended.tasks}")
        track.roll_back(slice_, to)

    def _maintain(self, start: Callable[[str], Ended]) -> None:
        """Compact the tables of all pipelines; readers see what they saw before."""
        ended = start("maintain_tables")
        if not ended.succeeded:
            raise Wrong(f"The maintenance failed: {ended.tasks}")

    def _replay(self, pipeline: Pipeline) -> None:
        track = self.rng.choice([one for one in pipeline.tracks if one.archive])
        (dataset,) = track.datasets
        slices = track.slices(dataset, "", "~")
        if not slices:
            return
        first, last = sorted(self.rng.choices(slices, k=2))
        include = self.rng.random() < 0.3
        self._arrivals += 1
        chosen = track.replay(dataset, first, last, include, self._arrivals)
        conf: dict[str, Any] = {
            "dataset": dataset,
            "slice_from": first,
            "slice_to": last,
            "include_excluded": include,
        }
        ended = self.lake.start("replay_uploads", **conf, dry_run=False, reason="history")
        self._say(
            f"{dataset} {first} to {last}{' with excluded' if include else ''} ({chosen}): {ended.state}"
        )
        if not ended.succeeded:
            raise Wrong(f"The replay failed: {ended.tasks}")
        left = set(self.lake.keys(f"landing/{dataset}/"))
        if left != track.waiting.keys():
            raise Wrong(f"In landing is {sorted(left)}, and should be {sorted(track.waiting)}")

    # --- what readers see

    def compare(self) -> None:
        """Compare every table and view that readers see with the model."""
        existing = {
            row["table_name"]
            for row in self.lake.select(
                f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{self.lake.database}'"
            )
        }
        for pipeline in self.pipelines:
            expected = pipeline.tables()
            torn = [
                (track.name, slice_, one)
                for track in pipeline.tracks
                for slice_, those in track.torn.items()
                for one in those
            ]
            others = [pipeline.tables(one) for one in torn]
            for table, rows in expected.items():
                if table not in existing:
                    if rows:
                        raise Wrong(f"The table {table} does not exist")
                    continue
                alternatives = [other.get(table, []) for other in others]
                if others and _is_view(table):
                    continue  # of a slice whose tables are being switched; the next run completes it
                self._compare(pipeline, table, rows, alternatives)
        if "publications" in existing:
            self._compare_publications()

    def _compare(self, pipeline: Pipeline, table: str, rows: Rows, alternatives: list[Rows]) -> None:
        like = [*rows, *(row for other in alternatives for row in other)]
        columns = list(like[0]) if like else []
        found = self.lake.select(f"SELECT {', '.join(columns) or '*'} FROM {table}")
        seen, wanted = plain(found, like), plain(rows, like)
        if seen == wanted:
            return
        column = SLICES[pipeline.dag]
        choices = [wanted, *(plain(other, like) for other in alternatives)]
        slices = {row.get(column, "") for each in (seen, *choices) for row in each}
        for slice_ in sorted(slices):
            parts = [[row for row in each if row.get(column, "") == slice_] for each in (seen, *choices)]
            if parts[0] not in parts[1:]:
                raise Wrong(
                    f"{table}{f' of {slice_}' if slice_ else ''}:\n" + _differences(parts[0], parts[1])
                )

    def _compare_publications(self) -> None:
        seen = Counter(
            (row["pipeline"], row["slice"], row["action"], row["version"])
            for row in self.lake.select("SELECT pipeline, slice, action, version FROM publications")
        )
        tracks = [track for pipeline in self.pipelines for track in pipeline.tracks]
        wanted = Counter((track.name, *one) for track in tracks for one in track.log)
        maybe = Counter((track.name, *one) for track in tracks for one in track.unrecorded.values())
        if seen - wanted or (wanted - seen) - maybe:
            raise Wrong(
                f"publications: not expected {list(seen - wanted)}, missing {list(wanted - seen - maybe)}"
            )


def _is_view(table: str) -> bool:
    return table.startswith(("v_", "current_")) or table == "gold_facility_dim"


def _differences(seen: list[dict[str, str]], wanted: list[dict[str, str]], limit: int = 10) -> str:
    lost, strange = [one for one in wanted if one not in seen], [one for one in seen if one not in wanted]
    texts = [f"  expected, not seen: {one}" for one in lost[:limit]]
    texts += [f"  seen, not expected: {one}" for one in strange[:limit]]
    if not texts:
        texts = [f"  {len(seen)} rows, expected {len(wanted)}: some rows are there more than once"]
    return "\n".join(texts)
