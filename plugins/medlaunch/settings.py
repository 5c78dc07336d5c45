"""Every name that differs between environments, read from ``MEDLAUNCH_*`` environment variables.

The defaults suit the laptop. Nothing else in this repository reads the environment for its own
configuration, so this page is the complete list.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "MEDLAUNCH_"


class SettingsError(ValueError):
    """A ``MEDLAUNCH_*`` variable has a value that cannot be used."""


class Settings(BaseModel):
    """The configuration of one environment. Field ``x_y`` is the variable ``MEDLAUNCH_X_Y``."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")] = Field(
        "local", description="Name of the environment, shown in alerts and reports."
    )
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(
        "medlaunch-local", description="The lake's S3 bucket; prefixes inside it are fixed (lake.py)."
    )
    database: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")] = Field(
        "medlaunch", description="Glue database of the tables and views."
    )
    workgroup: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] = Field(
        "medlaunch", description="Athena workgroup; it owns the result location and the scan limit."
    )
    aws_conn_id: str = Field("aws_default", min_length=1, description="Airflow connection to AWS.")
    pseudonym_conn_id: str = Field(
        "medlaunch_pseudonyms",
        min_length=1,
        description="Airflow connection whose password is the secret key of pseudonyms, 32 characters or more.",
    )
    minimum_cell: int = Field(
        11,
        ge=1,
        le=1000,
        description="Smallest count that views for the public show; smaller ones, but 0, are suppressed. 1: none is.",
    )
    alerts_topic_arn: Annotated[
        str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+$")
    ] = Field(
        "arn:aws:sns:us-east-1:123456789012:medlaunch-alerts",
        description="SNS topic that receives one message per failed run, and one per run that skipped data.",
    )
    success_topic_arn: str | None = Field(
        None,
        pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+$",
        description="SNS topic that receives one message per run that published something. Unset: none is sent.",
    )
    uploads_queue_url: str | None = Field(
        None,
        pattern=r"^https?://.*\{dag_id\}",
        description="URL of the SQS queues with the bucket's notifications, one per pipeline, with {dag_id} in the "
        "place of its DAG's id. Set: uploads start runs within seconds. Unset: runs follow each other and wait in "
        "the sensor.",
    )
    sweep_cron: str = Field(
        "*/30 * * * *",
        description="Only with a queue: when a run starts even if no event arrived.",
    )
    runbook_url: str = Field(
        "https://github.com/medlaunch/medlaunch/blob/main/docs/runbooks",
        pattern=r"^https?://",
        description="Where the runbooks are; alerts link to them.",
    )
    sensor_poke_seconds: float = Field(
        15, gt=0, le=3600, description="Seconds between two looks into landing/ while waiting."
    )
    sensor_timeout_seconds: float = Field(
        24 * 3600,
        gt=0,
        description="After this many seconds without uploads the waiting run ends as skipped, and the next one starts.",
    )
    aws_read_timeout_seconds: float = Field(
        60,
        gt=0,
        le=900,
        description="Socket read timeout of AWS clients, in seconds; the request is then sent again.",
    )
    athena_poll_seconds: float = Field(
        3, gt=0, le=300, description="Seconds between two looks at a running Athena query."
    )
    athena_timeout_seconds: float = Field(
        1800,
        gt=0,
        description="A query that runs longer than this many seconds is stopped, and its task fails.",
    )
    dagrun_timeout_seconds: float = Field(
        26 * 3600,
        gt=0,
        description="A run that takes longer than this many seconds, waiting included, fails and alerts.",
    )
    task_retries: int = Field(2, ge=0, le=10, description="How often a failed task is tried again.")
    retry_delay_seconds: float = Field(
        30, ge=0, description="Seconds before the first retry; doubles with each, up to ten minutes."
    )
    max_files_per_run: int = Field(
        10_000, ge=1, le=100_000, description="Maximum number of uploads that a run claims, oldest first."
    )
    max_slices_per_run: int = Field(
        90,
        ge=1,
        le=100,
        description="Maximum number of slices that a run claims. Athena writes at most 100 partitions per statement.",
    )
    max_load_groups: int = Field(
        8, ge=1, le=64, description="Maximum number of parallel tasks that load the uploads of a run."
    )
    load_group_bytes: int = Field(
        256 * 1024 * 1024, ge=1, description="Uploads are gathered into one group of up to this many bytes."
    )
    load_part_bytes: int = Field(
        256 * 1024 * 1024,
        ge=64 * 1024,
        description="A plain upload of JSON lines or CSV that is larger is loaded by several tasks, in parts of about this "
        "many bytes. After a change, upload again what is larger and was left in landing by a failed run.",
    )
    max_shrink_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="A run fails before it publishes if a published slice would lose more than this share of "
        "its records, unless its param expect_shrink says that it is meant. 1: never.",
    )
    max_change_share: float = Field(
        0.2,
        gt=0,
        description="A run fails before it publishes if a figure of a slice differs from that of the slice before by "
        "more than this share, unless its param expect_change says that it is meant.",
    )
    stale_after_seconds: float = Field(
        7 * 24 * 3600,
        ge=0,
        description="One alert is sent when no upload has been published for this many seconds, or for as long as the "
        "pipeline says of itself, if that is longer. 0: never.",
    )
    freshness_cron: str = Field(
        "17 * * * *", description="When it is checked whether something was published lately."
    )
    maintenance_cron: str = Field(
        "41 3 * * 0",
        description="When the DAG maintain_tables compacts the Iceberg tables and removes their old snapshots. Empty: never "
        "by itself.",
    )
    fetch_cron: str = Field(
        "23 11 * * 2",
        description="When the DAG fetch_cms_files looks for new files; weekly, as CMS publishes monthly and quarterly.",
    )
    fetch_user_agent: str = Field(
        "medlaunch/0.1 (+https://github.com/medlaunch/medlaunch)",
        min_length=1,
        pattern=r"^[ -~]+$",
        description="How fetch_cms_files introduces itself to servers; add an address for complaints.",
    )
    fetch_interval_seconds: float = Field(
        1, ge=0, le=3600, description="Seconds between two requests to a server that files are fetched from."
    )
    fetch_proxy: str | None = Field(
        None,
        pattern=r"^http://[^@\s]+$",
        description="HTTP proxy through which fetch_cms_files asks catalogues and their files; nothing else uses it. Unset: none.",
    )
    replay_batch_files: int = Field(
        1_000,
        ge=1,
        le=10_000,
        description="Maximum number of files that one task of a replay restores to landing/.",
    )
    include_dir: Path = Field(
        default_factory=lambda: _find_include(),
        description="Folder with the SQL and reference data; found by itself in every known layout.",
    )

    @property
    def reference_dir(self) -> Path:
        """The folder of reference data."""
        return self.include_dir / "reference"

    def uploads_queue(self, dag_id: str) -> str | None:
        """URL of the queue of a pipeline's uploads; None if runs start without one."""
        return self.uploads_queue_url and self.uploads_queue_url.replace("{dag_id}", dag_id)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Build the settings from ``MEDLAUNCH_*`` variables; an empty value counts as not set.

        Raises:
            SettingsError: naming each variable that cannot be used, its value and why.
        """
        given = {
            name[len(PREFIX) :].lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX) and value.strip()
        }
        known = {name: value for name, value in given.items() if name in cls.model_fields}
        try:
            return cls(**known)  # type: ignore[arg-type]  # pydantic converts the strings
        except ValidationError as error:
            problems = "; ".join(
                f"{PREFIX}{str(problem['loc'][0]).upper()}={problem['input']!r}: {problem['msg']}"
                for problem in error.errors()
            )
            raise SettingsError(
                f"Environment variables that cannot be used: {problems}. See docs/configuration.md."
            ) from error


def _find_include() -> Path:
    """The include folder: beside ``plugins/`` on a laptop, inside ``dags/`` on MWAA."""
    here = Path(__file__).resolve()
    for parent in here.parents[1:4]:
        candidate = parent / "include"
        if (candidate / "sql").is_dir():
            return candidate
    raise SettingsError(f"No include/sql folder near {here.parent}. Set {PREFIX}INCLUDE_DIR to its path.")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read on first use."""
    return Settings.from_environment(os.environ)
