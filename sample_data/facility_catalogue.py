"""What facilities are made of: kinds of facility, their names, services, labs and accreditors.

Facilities, identifiers and terms are invented; the accreditation bodies are real ones.
"""

from __future__ import annotations

from typing import NamedTuple


class Lab(NamedTuple):
    """A kind of laboratory and the certifications it may hold."""

    name: str
    certifications: tuple[str, ...]


class Accreditor(NamedTuple):
    """An accreditation body, the format of its identifiers ({n} takes a 7-digit number) and its term."""

    name: str
    identifier: str
    years: int


class Kind(NamedTuple):
    """A kind of facility. ``weight`` of 100; employees from ``smallest`` to ``smallest + spread``."""

    weight: int
    suffixes: tuple[str, ...]
    services: tuple[str, ...]
    labs: tuple[Lab, ...]
    most_labs: int
    accreditors: tuple[Accreditor, ...]
    smallest: int
    spread: int


JOINT_COMMISSION = Accreditor("Joint Commission", "JC-{n}", 3)
DNV = Accreditor("DNV", "DNV-{n}", 3)
ACHC = Accreditor("ACHC", "ACHC-{n}", 3)
CIHQ = Accreditor("CIHQ", "CIHQ{n}", 3)
CAP = Accreditor("CAP", "{n}", 2)
CLIA = Accreditor("CLIA", "05D{n}", 2)
COLA = Accreditor("COLA", "COLA-{n}", 2)
AAAHC = Accreditor("AAAHC", "AAAHC-{n}", 3)
QUADA = Accreditor("QUAD A", "QA{n}", 3)
ACR = Accreditor("ACR", "ACR-{n}", 3)
IAC = Accreditor("IAC", "IAC-{n}", 3)
CARF = Accreditor("CARF", "CARF.{n}", 3)
CHAP = Accreditor("CHAP", "CHAP-{n}", 3)
URAC = Accreditor("URAC", "URAC/{n}", 3)
AABB = Accreditor("AABB", "AABB-{n}", 2)

_CHEMISTRY = Lab("Clinical Chemistry", ("CLIA", "CAP", "ISO 15189"))
_HEMATOLOGY = Lab("Hematology Lab", ("CLIA", "CAP", "COLA"))
_MICROBIOLOGY = Lab("Microbiology Lab", ("CLIA", "CAP", "NYS CLEP"))
_PATHOLOGY = Lab("Anatomic Pathology", ("CAP", "CLIA"))
_BLOOD = Lab("Blood Bank", ("AABB", "CAP", "FDA"))
_MOLECULAR = Lab("Molecular Diagnostics", ("CAP", "CLIA", "NYS CLEP", "ISO 15189"))
_TOXICOLOGY = Lab("Toxicology Lab", ("CLIA", "CAP-FDT", "SAMHSA"))
_POINT_OF_CARE = Lab("Point-of-Care Testing", ("CLIA Waived",))
_VASCULAR = Lab("Vascular Lab", ("IAC",))
_ECHO = Lab("Echocardiography Lab", ("IAC", "CLIA Waived"))

KINDS = (
    Kind(
        30,
        ("Medical Center", "Regional Hospital", "General Hospital", "Memorial Hospital", "Community Hospital", "Health System"),
        (
            "Emergency", "ICU", "Surgery", "Cardiology", "Oncology", "Radiology", "Maternity", "Pediatrics", "Neurology",
            "Orthopedics", "Dialysis", "Pharmacy", "Stroke Center", "Trauma Level II", "Rehabilitation", "Wound Care",
        ),
        (_CHEMISTRY, _HEMATOLOGY, _MICROBIOLOGY, _PATHOLOGY, _BLOOD, _ECHO),
        3,
        (JOINT_COMMISSION, JOINT_COMMISSION, DNV, CIHQ, ACHC, CAP, AABB),
        120,
        3_800,
    ),
    Kind(
        16,
        ("Surgery Center", "Ambulatory Surgery", "Endoscopy Center", "Eye Surgery Center"),
        ("Ambulatory Surgery", "Anesthesia", "Endoscopy", "Ophthalmology", "Pain Management", "Orthopedics", "ENT", "Pre-op Testing"),
        (_POINT_OF_CARE, _PATHOLOGY),
        1,
        (AAAHC, AAAHC, QUADA, JOINT_COMMISSION, CLIA),
        12,
        110,
    ),
    Kind(
        20,
        ("Clinic", "Family Health Center", "Urgent Care", "Primary Care Associates", "Community Health Center"),
        ("Primary Care", "Urgent Care", "Immunizations", "Women's Health", "Pediatrics", "Behavioral Health", "Telehealth", "Dental"),
        (_POINT_OF_CARE, _HEMATOLOGY),
        2,
        (AAAHC, JOINT_COMMISSION, URAC, CLIA, COLA),
        6,
        240,
    ),
    Kind(
        12,
        ("Clinical Laboratory", "Diagnostic Laboratories", "Pathology Associates", "Reference Lab"),
        ("Phlebotomy", "Chemistry", "Hematology", "Cytology", "Genetic Testing", "Toxicology", "Courier Pick-up"),
        (_CHEMISTRY, _MOLECULAR, _TOXICOLOGY, _MICROBIOLOGY, _PATHOLOGY),
        3,
        (CAP, CAP, CLIA, COLA, AABB),
        8,
        420,
    ),
    Kind(
        8,
        ("Imaging Center", "Radiology Group", "Heart & Vascular Institute"),
        ("MRI", "CT", "X-ray", "Mammography", "Ultrasound", "Nuclear Medicine", "PET", "Echocardiography"),
        (_VASCULAR, _ECHO),
        2,
        (ACR, IAC, JOINT_COMMISSION),
        8,
        150,
    ),
    Kind(
        8,
        ("Rehabilitation Hospital", "Nursing & Rehab", "Care Center"),
        ("Skilled Nursing", "Physical Therapy", "Occupational Therapy", "Speech Therapy", "Memory Care", "Respite Care"),
        (_POINT_OF_CARE,),
        1,
        (CARF, JOINT_COMMISSION, ACHC),
        35,
        320,
    ),
    Kind(
        6,
        ("Home Health", "Hospice", "Palliative Care"),
        ("Home Nursing", "Hospice", "Infusion", "Physical Therapy", "Bereavement Support"),
        (),
        0,
        (CHAP, ACHC, JOINT_COMMISSION),
        10,
        190,
    ),
)  # fmt: skip

#: The first words of a name; the place's city joins them.
NAMES = (
    "St. Mary's", "St. Joseph", "St. Luke's", "Saint Francis", "St. Vincent", "Good Samaritan", "Mercy", "Providence",
    "Holy Cross", "Sacred Heart", "Mount Sinai", "Beth Israel", "Lutheran", "Methodist", "Baptist", "Adventist",
    "Riverside", "Lakeview", "Northside", "Southgate", "Eastern Plains", "Westbrook", "Highland", "Valley", "Summit",
    "Cedar Ridge", "Maple Grove", "Pine Bluff", "Oak Hill", "Harbor", "Bayfront", "Prairie View", "Desert Springs",
    "Evergreen", "Magnolia", "Silver Creek", "Clearwater", "Blue Ridge", "Golden Gate", "Great Lakes", "Heartland",
    "Washington", "Jefferson", "Lincoln", "Roosevelt", "Kennedy", "Whitfield", "Okafor", "Harrington", "Delgado",
    "Nguyen", "Kowalski", "Abernathy", "O'Brien", "McAllister", "Van Buren", "Castellanos", "Steinberg", "Fairchild",
    "University", "County", "Veterans", "Children's", "Women's", "Unity", "Hope", "Grace", "Pinnacle", "Premier",
    "Nuestra Señora", "San José", "Niño Jesús", "Lāhainā", "Müller",
)  # fmt: skip

STREETS = (
    "Main St", "Oak Ave", "Maple Dr", "Hospital Dr", "Medical Center Blvd", "Park Ave", "Washington St", "2nd St",
    "University Ave", "Health Pkwy", "Lincoln Hwy", "Elm St", "Broadway", "Martin Luther King Jr Blvd", "Lake Shore Dr",
    "Church St", "Martin's Ferry Rd", "W 5th Ave", "N State St", "Sunset Blvd", "Peachtree Rd", "County Rd 12",
)  # fmt: skip

UNITS = ("", "", "", "", "", "", ", Suite 100", ", Suite 240", ", Bldg B", ", Floor 3")
