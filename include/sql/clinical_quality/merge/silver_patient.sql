-- The newest version wins, in whatever order versions come; the same one again changes nothing.
-- noqa: disable=all
{% set kind, same_again = 'patient', false -%}
{% set columns = columns_of('clinical_quality/columns/silver_patient.columns') -%}
{% include 'clinical_quality/merge/newest_versions.jinja' %}
