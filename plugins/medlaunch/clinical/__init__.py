"""Clinical quality: FHIR resources become canonical lines, as pure functions.

No Airflow and no AWS in here. The measures are SQL (``include/sql/clinical_quality``).
"""
