-- What became of the lines of each upload, as Athena sees it: the loaders must have counted the same.
-- outcome: a reject reason, 'valid' (not rejected), or 'accepted' (valid and not superseded).
-- noqa: disable=all
{% set pipeline, bronze, staging = 'nurse_staffing.pbj', name('bronze_pbj'), name('staging_silver_pbj_daily') -%}
{% include 'nurse_staffing/check/count_lines.jinja' %}
