-- Facilities and accredited facilities of each state, for the CSV export.
SELECT
    snapshot_date,
    state_code,
    state_name,
    accredited_facilities,
    facilities,
    as_of
FROM staging_accredited_facilities_by_state
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ slices }})
ORDER BY
    snapshot_date,
    state_code
