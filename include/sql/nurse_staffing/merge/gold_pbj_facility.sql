-- Leaves the quarters of the run as they were computed; rows that did not change are not written again.
-- noqa: disable=all
{% set table, slice_column, keys = name('gold_pbj_facility'), name('quarter'), [name('ccn')] -%}
{% set columns = columns_of('nurse_staffing/columns/pbj_facility.columns') -%}
{% include 'common/merge_slices.jinja' %}
