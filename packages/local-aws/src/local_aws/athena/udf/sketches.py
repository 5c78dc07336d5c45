"""What aggregates make of all of their values. Lists of numbers come as lists of texts, for DuckDB makes NULL of NaN."""

from __future__ import annotations

import heapq
import itertools
import math
import struct

from local_aws.athena.udf import fail, udf
from local_aws.athena.udf.binary import xxhash64

_PRIME = 0x9E3779B185EBCA87
_MASK = (1 << 64) - 1
# Values that Trino's numeric_histogram keeps before it makes buckets of them, more than there are buckets.
_BUFFER = 100


def _hash(text: str, kind: str) -> int:
    """Trino's XX_HASH_64 of a value, of which the text is given."""
    if kind == "text":
        data = text.encode()
    elif kind == "bytes":
        data = bytes.fromhex(text)
    elif kind == "double":
        data = struct.pack("<d", float(text) or 0.0)
    elif kind == "real":
        data = struct.pack("<q", struct.unpack("<i", struct.pack("<f", float(text) or 0.0))[0])
    else:
        data = struct.pack("<q", int(text))
    return int.from_bytes(xxhash64(data), "big")


@udf("VARCHAR[] VARCHAR", "BLOB")
def checksum(values: list[str | None], kind: str) -> bytes:
    total = sum(_PRIME if v is None else _hash(v, kind) * _PRIME for v in values)
    return (total & _MASK).to_bytes(8, "little")


# The compression of Trino's digests, and how many values one keeps before it merges them.
_COMPRESSION = 100.0
_CAPACITY = 6 * (2 * 100 + 10)


class _Digest:
    """Trino's t-digest (io.trino.operator.aggregation's, in trino-array's TDigest), value by value."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, float]] = []
        self._total = 0.0
        self._least, self._greatest = math.inf, -math.inf
        self._backwards = False

    def add(self, value: float, weight: float) -> None:
        if len(self._entries) == _CAPACITY:
            self._merge(2 * _COMPRESSION)
        self._entries.append((value, weight))
        self._total += weight
        self._least, self._greatest = min(self._least, value), max(self._greatest, value)

    def _merge(self, compression: float) -> None:
        if not self._entries:
            return
        entries = sorted(self._entries, key=lambda e: e[0], reverse=self._backwards)
        scale = compression / (4 * math.log(self._total / compression) + 24)

        def most(quantile: float) -> float:
            return quantile * (1 - quantile) / scale

        merged: list[tuple[float, float]] = []
        (mean, weight), before, here = entries[0], 0.0, most(0.0)
        for other, more in entries[1:]:
            together = weight + more
            quantile = min((before + together) / self._total, 1.0)
            if together <= self._total * min(here, most(quantile)):
                mean += (other - mean) * more / together
                weight = together
                continue
            merged.append((mean, weight))
            before += weight
            here = most(before / self._total)
            mean, weight = other, more
        merged.append((mean, weight))
        self._entries = merged[::-1] if self._backwards else merged
        self._backwards = not self._backwards

    def merged(self) -> _Digest:
        """As the one that collects all of them has it."""
        self._merge(_COMPRESSION)
        whole = _Digest()
        for value, weight in self._entries:
            whole.add(value, weight)
        whole._least, whole._greatest = self._least, self._greatest
        whole._merge(_COMPRESSION)
        return whole

    def value_at(self, quantile: float) -> float:
        entries, index = self._entries, quantile * self._total
        if len(entries) == 1:
            return entries[0][0]
        first, last = entries[0], entries[-1]
        if index < 1:
            return self._least
        if first[1] > 1 and index < first[1] / 2:
            return self._least + (index - 1) / (first[1] / 2 - 1) * (first[0] - self._least)
        if index > self._total - 1:
            return self._greatest
        if last[1] > 1 and self._total - index <= last[1] / 2:
            return self._greatest - (self._total - index - 1) / (last[1] / 2 - 1) * (self._greatest - last[0])
        reached = first[1] / 2
        for (x, v), (y, w) in itertools.pairwise(entries):
            step = (v + w) / 2
            if reached + step > index:
                left = right = 0.0
                if v == 1:
                    if index - reached < 0.5:
                        return x
                    left = 0.5
                if w == 1:
                    if reached + step - index <= 0.5:
                        return y
                    right = 0.5
                z1, z2 = index - reached - left, reached + step - index - right
                return min(max((x * z2 + y * z1) / (z1 + z2), min(x, y)), max(x, y))
            reached += step
        z1, z2 = index - self._total - last[1] / 2.0, last[1] / 2 - (index - self._total - last[1] / 2)
        return (last[0] * z1 + self._greatest * z2) / (z1 + z2)


@udf("DOUBLE[] DOUBLE[] DOUBLE[]", "DOUBLE[]")
def approx_percentile(values: list[float], weights: list[float], shares: list[float]) -> list[float]:
    """As Trino's digest has it. weights: none, if each is 1."""
    for share in shares:
        if not 0 <= share <= 1:
            raise fail("INVALID_FUNCTION_ARGUMENT", "Percentile must be between 0 and 1")
    digest = _Digest()
    for value, weight in zip(values, weights or itertools.repeat(1.0), strict=False):
        if not math.isfinite(value):
            raise fail("GENERIC_INTERNAL_ERROR", "value must be finite")
        if weight < 1:
            raise fail("INVALID_FUNCTION_ARGUMENT", f"weight must be >= 1, was {weight}")
        digest.add(value, weight)
    whole = digest.merged()
    return [whole.value_at(share) for share in shares]


@udf("BIGINT DOUBLE[] DOUBLE[]", "VARCHAR")
def numeric_histogram(buckets: int, values: list[float], weights: list[float]) -> str:
    """Buckets as JSON: pairs of value and weight."""
    import json

    if buckets < 2:
        raise fail("INVALID_FUNCTION_ARGUMENT", "numeric_histogram bucket count must be greater than one")
    if len(values) >= buckets + _BUFFER:
        message = f"numeric_histogram of more than {buckets + _BUFFER} values is not supported by local_aws"
        raise fail("NOT_SUPPORTED", message)
    merged: dict[float, float] = {}
    for value, weight in sorted(zip(values, weights, strict=True)):
        merged[value] = merged.get(value, 0.0) + weight
    entries = [list(pair) for pair in merged.items()]
    before = [i - 1 for i in range(len(entries))]
    after = [i + 1 for i in range(len(entries))]
    state = [0] * len(entries)

    def penalty(i: int) -> float:
        (x, v), (y, w) = entries[i], entries[after[i]]
        return (v + w) * (x - y) ** 2 * (v * w / (v + w) ** 2)

    queue = [(penalty(i), entries[i][0], i, 0) for i in range(len(entries) - 1)]
    heapq.heapify(queue)
    left = len(entries)
    while left > buckets:
        _, _, i, known = heapq.heappop(queue)
        if known != state[i]:
            continue
        j = after[i]
        weight = entries[i][1] + entries[j][1]
        entries[i] = [(entries[i][0] * entries[i][1] + entries[j][0] * entries[j][1]) / weight, weight]
        state[i], state[j] = state[i] + 1, -1
        after[i] = after[j]
        if after[i] < len(entries):
            before[after[i]] = i
            heapq.heappush(queue, (penalty(i), entries[i][0], i, state[i]))
        if before[i] >= 0:
            k = before[i]
            state[k] += 1
            heapq.heappush(queue, (penalty(k), entries[k][0], k, state[k]))
        left -= 1
    return json.dumps([e for e, s in zip(entries, state, strict=True) if s >= 0])
