"""The differences between the environments. Everything else is the same code."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1024**3
#: MWAA's smallest class: three tasks at a time, one scheduler, one web server, and no workers beside the one.
MICRO = "mw1.micro"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment, with its own account and region, or at least its own names.

    Args:
        name: part of all resource names, and MEDLAUNCH_ENVIRONMENT.
        keep_data: whether buckets, key and catalog remain when a stack is deleted.
        protected: whether the stacks have termination protection.
        contains_phi: value of the tag ContainsPHI; see README.md.
        scan_limit_bytes: Athena cancels a query of the pipelines that scans more.
        readers_scan_limit_bytes: the same for a query of a reader, the dashboard among them.
        budget_usd: the account's monthly budget.
        encrypt_catalog: whether this environment owns the encryption of the Glue catalog, one setting for the whole
            account and region, all teams included. At most one environment per account may; the setting and its
            key outlive the stack.
        internet: whether MWAA's network has a NAT gateway, for the DAG fetch_cms_files; without it there is no route
            out. Choose before the environment is created: its subnets cannot be changed.
        superseded_days, quarantine_days, noncurrent_days, logs_days: retention.
        mwaa_class: size of MWAA's containers. ``mw1.micro`` runs the scheduler and the only worker in one container.
        mwaa_max_workers: how far MWAA adds workers.
    """

    name: str
    keep_data: bool
    protected: bool
    contains_phi: bool
    scan_limit_bytes: int
    readers_scan_limit_bytes: int
    budget_usd: int
    encrypt_catalog: bool
    internet: bool
    superseded_days: int
    quarantine_days: int
    noncurrent_days: int
    logs_days: int
    mwaa_class: str
    mwaa_max_workers: int

    def __post_init__(self) -> None:
        if self.mwaa_class == MICRO and self.mwaa_max_workers != 1:
            raise ValueError(f"{self.name}: {MICRO} has one worker, not {self.mwaa_max_workers}")

    @property
    def mwaa_schedulers(self) -> int:
        """The least that the class takes (API reference of MWAA, CreateEnvironment)."""
        return 1 if self.mwaa_class == MICRO else 2

    @property
    def prefix(self) -> str:
        """The prefix of all names."""
        return f"medlaunch-{self.name}"


DEV = Environment(
    name="dev",
    keep_data=False,
    protected=False,
    contains_phi=False,
    scan_limit_bytes=50 * GIB,
    readers_scan_limit_bytes=5 * GIB,
    budget_usd=550,
    encrypt_catalog=False,
    internet=False,
    superseded_days=7,
    quarantine_days=30,
    noncurrent_days=7,
    logs_days=30,
    mwaa_class=MICRO,
    mwaa_max_workers=1,
)
PROD = Environment(
    name="prod",
    keep_data=True,
    protected=True,
    contains_phi=False,
    scan_limit_bytes=500 * GIB,
    readers_scan_limit_bytes=50 * GIB,
    budget_usd=1000,
    encrypt_catalog=False,
    internet=False,
    superseded_days=30,
    quarantine_days=365,
    noncurrent_days=90,
    logs_days=365,
    mwaa_class="mw1.small",
    mwaa_max_workers=5,
)
ENVIRONMENTS = {one.name: one for one in (DEV, PROD)}
