-- What became of the lines of each upload, as Athena sees it: the loaders must have counted the same.
-- outcome: a reject reason, 'valid' (not rejected), or 'accepted' (valid and not superseded).
-- noqa: disable=all
{% set pipeline, bronze, staging = 'nurse_staffing.provider_info', name('bronze_provider_info'), name('staging_silver_provider_info') -%}
{% include 'nurse_staffing/check/count_lines.jinja' %}
