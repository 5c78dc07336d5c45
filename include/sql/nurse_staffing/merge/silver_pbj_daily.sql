-- The later record of each facility and day wins, whatever the order of runs. Nothing is ever deleted: a state's
-- extract is a legal upload. The same record, read anew, takes
-- its own place if a rule has changed it. A second MERGE of the same rows changes nothing.
-- noqa: disable=all
{% set table, slice_column, keys = name('silver_pbj_daily'), name('quarter'), [name('ccn'), name('work_date')] -%}
{% set columns = columns_of('nurse_staffing/columns/pbj_daily.columns') -%}
{% include 'common/merge_latest.jinja' %}
