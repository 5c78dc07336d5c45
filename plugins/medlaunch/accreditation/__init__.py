"""Facility accreditation: rules, canonical records and expiring accreditations, as pure functions.

No Airflow and no AWS in here, except that the command line (``python -m medlaunch.accreditation``) can
read and write S3. The rules are those of docs/data-quality.md.
"""

from medlaunch.accreditation.bronze import load
from medlaunch.accreditation.expiry import ExpiryCounts, filter_expiring
from medlaunch.accreditation.rules import CheckedRecord, RejectReason, check_record
from medlaunch.accreditation.states import read_states
from medlaunch.accreditation.window import window_end

__all__ = [
    "CheckedRecord",
    "ExpiryCounts",
    "RejectReason",
    "check_record",
    "filter_expiring",
    "load",
    "read_states",
    "window_end",
]
