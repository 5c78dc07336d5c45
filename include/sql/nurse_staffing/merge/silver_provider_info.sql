-- The later record of each facility and snapshot wins, whatever the order of runs. The same record, read anew,
-- takes its own place if a rule has changed it. A second MERGE of the same rows changes nothing.
-- noqa: disable=all
{% set table, slice_column, keys = name('silver_provider_info'), name('quarter'), [name('ccn'), name('processing_date')] -%}
{% set columns = columns_of('nurse_staffing/columns/provider_info.columns') -%}
{% include 'common/merge_latest.jinja' %}
