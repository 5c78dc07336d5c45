-- Accredited and all facilities of each state in one snapshot.
SELECT
    state_code,
    state_name,
    accredited_facilities,
    facilities,
    CAST(accredited_facilities AS double) / facilities AS accredited_share,
    as_of
FROM accredited_facilities_by_state
WHERE snapshot_date = CAST(:snapshot AS date)
ORDER BY state_code
