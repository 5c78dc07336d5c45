"""The external sort is ``sorted``, in bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.accreditation.sorting import ExternalSort

items = st.binary(max_size=12).map(lambda item: item.replace(b"\n", b"\t"))


@settings(max_examples=200, deadline=None)
@given(st.lists(items, max_size=300), st.sampled_from([1, 200, 1000, 10_000]))
def test_it_sorts_as_sorted_does(values: list[bytes], memory: int) -> None:
    with ExternalSort(memory) as sort:
        for value in values:
            sort.add(value)
        assert list(sort) == sorted(values)


def test_lines_longer_than_what_is_read_at_once() -> None:
    values = [bytes([65 + n % 26]) * 100_000 for n in range(50)]
    with ExternalSort(300_000) as sort:
        for value in values:
            sort.add(value)
        assert list(sort) == sorted(values)


@pytest.mark.parametrize("count", [50_000, 200_000])
def test_memory_does_not_grow_with_what_is_sorted(count: int) -> None:
    order = random.Random(1)
    tracemalloc.start()
    try:
        with ExternalSort(500_000) as sort:
            for _ in range(count):
                sort.add(b"%016d" % order.randrange(10**9))
            last, seen = b"", 0
            for batch in sort.batches():
                assert last <= batch[0]
                assert batch == sorted(batch)
                last, seen = batch[-1], seen + len(batch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == count
    assert peak < 6_000_000
