"""Records and uploads that several tests need."""

from __future__ import annotations

import json
from typing import Any

DAY = "2026-11-01"


def facility(number: int, *valid: Any, **other: Any) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number:05d}",
        "facility_name": f"Facility {number}",
        "location": {"address": "1 Main St", "city": "Ann Arbor", "state": "MI", "zip": "48104"},
        "employee_count": 10,
        "services": ["a", "b"],
        "labs": [{"lab_name": "L", "certifications": ["CLIA"]}],
        "accreditations": [
            {
                "accreditation_body": "Joint Commission",
                "accreditation_id": f"J{number}-{n}",
                "valid_until": day,
            }
            for n, day in enumerate(valid or ["2027-01-31"])
        ],
        "snapshot_date": DAY,
        **other,
    }


def lines(*records: Any) -> bytes:
    return b"".join(
        record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode() + b"\n"
        for record in records
    )


#: Every case of the rules for lines in one upload: JSON lines, each element one piece of the file.
NASTY = [
    lines(
        facility(1, facility_id="fac00001"),
        facility(1, facility_id="FAC00001 "),
        facility(2, facility_name="\u00a0\u00a0"),
        facility(3, employee_count="312"),
        facility(4, employee_count=-1),
        facility(5, employee_count=3.5),
        facility(6, employee_count=None),
        facility(7, employee_count=True),
        facility(8, "2026-11-20"),
        facility(9, "2027-05-20"),
        facility(10, "2027-05-21"),
        facility(11, "2026-11-19"),
        facility(12, "2025-02-30", "2027-01-01"),
        facility(13, "2025-11-15T23:59:59-08:00"),
        facility(14, "20261115"),
        facility(15, "2026-12-1"),
        facility(16, 20261201),
        facility(17, accreditations=None),
        facility(18, accreditations=[]),
        facility(19, accreditations={}),
        facility(20, accreditations=[None]),
        facility(21, accreditations="none"),
        facility(22, services=None),
        facility(23, services="all"),
        facility(24, location=None),
        facility(25, location="Ann Arbor, MI"),
        facility(26, location={"address": "x", "city": "y", "state": " mi ", "zip": "48104"}),
        facility(27, location={"state": "Michigan"}),
        facility(28, location={"address": "x", "city": "San Juan", "state": "PR", "zip": 901}),
        facility(29, snapshot_date="2026-10-31"),
        facility(30, facility_name='Say "hi", O\'Neil — Ünïcode\tTab'),
        b'[{"facility_id": "FAC00031"}]\n',
        b"\n   \t \n",
        b'{"facility_id": "FAC00032", "facility_name": "\xff\xfe"}\n',
        b'{"facility_id": "FAC00033"\n',
        b"null\n",
        b"NaN\n",
        facility(34),
        b'{"facility_id": "FAC00035", "facility_na',
    )
]
