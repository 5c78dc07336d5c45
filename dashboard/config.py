"""Where the dashboard reads, from environment variables.

Region, endpoint and credentials are those of every AWS client: ``AWS_REGION`` or ``AWS_DEFAULT_REGION``,
``AWS_ENDPOINT_URL``, and a role or keys.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


class ConfigError(ValueError):
    """A setting that cannot be used: which, and what it should be."""


@dataclass(frozen=True)
class Config:
    """The settings; each is read from ``DASHBOARD_<NAME>``."""

    database: str = "medlaunch"
    workgroup: str = "medlaunch"
    #: S3 URI for query results; empty: where the workgroup puts them.
    output: str = ""
    #: Address of Airflow's UI, for links to runs; empty: no links.
    airflow_url: str = ""
    #: How long an answer is kept. A new publication replaces it earlier.
    cache_seconds: int = 3600
    #: How long it takes until a new publication is noticed.
    version_seconds: int = 15
    #: A query that takes longer is stopped.
    query_seconds: int = 60
    #: Memory for answers.
    cache_megabytes: int = 256
    #: Price of a terabyte scanned, in US dollars; 5 in most regions.
    dollars_per_terabyte: float = 5.0
    #: Counts of patients from 1 to below this are not shown.
    minimum_cell: int = 11

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Config:
        """Read the settings.

        Raises:
            ConfigError: naming the variable and what is wrong with it.
        """
        values: dict[str, Any] = {}
        for one in fields(cls):
            name = f"DASHBOARD_{one.name.upper()}"
            text = environment.get(name, "").strip()
            if not text:
                continue
            kind: type = type(one.default)
            try:
                values[one.name] = kind(text)
            except ValueError:
                raise ConfigError(
                    f"{name}={text!r} is not a {'number' if kind is float else 'whole number'}."
                ) from None
            if kind is not str and values[one.name] <= 0:
                raise ConfigError(f"{name}={text!r} must be greater than 0.")
        return cls(**values)
