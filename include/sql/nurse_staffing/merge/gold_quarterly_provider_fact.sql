-- Leaves the quarters of the run as they were computed; rows that did not change are not written again.
-- noqa: disable=all
{% set table, slice_column, keys = name('gold_quarterly_provider_fact'), name('quarter'), [name('ccn')] -%}
{% set columns = columns_of('nurse_staffing/columns/quarterly_provider_fact.columns') -%}
{% include 'common/merge_slices.jinja' %}
