-- The newest version wins, in whatever order versions come; the same one again changes nothing.
-- noqa: disable=all
{% set kind, same_again = 'condition', false -%}
{% set columns = columns_of('clinical_quality/columns/silver_condition.columns') -%}
{% include 'clinical_quality/merge/newest_versions.jinja' %}
