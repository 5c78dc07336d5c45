"""Streams of random numbers that are the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

#: Returns the next number of a stream, 0 <= x < 1.
Stream = Callable[[], float]


def stream(seed: int, *names: object) -> Stream:
    """The stream of one purpose; streams of other names or seeds are independent of it."""
    # A string seed is hashed with SHA-512 by Random itself, unlike hash(), which differs between processes.
    return Random("/".join(map(str, ("sample_data", seed, *names)))).random  # noqa: S311 - no secret


def pick(random: Stream, options: Sequence[T]) -> T:
    """One of ``options``."""
    return options[int(random() * len(options))]


def several(random: Stream, options: Sequence[T], how_many: int) -> list[T]:
    """``how_many`` different ones of ``options`` (all, if there are fewer), in random order."""
    left = list(options)
    return [left.pop(int(random() * len(left))) for _ in range(min(how_many, len(left)))]
