-- The counts of the newest published snapshot.
CREATE OR REPLACE VIEW current_accredited_facilities_by_state AS
SELECT
    state_code,
    state_name,
    accredited_facilities,
    facilities,
    snapshot_date,
    as_of
FROM accredited_facilities_by_state
WHERE snapshot_date = (SELECT max(snapshot_date) FROM accredited_facilities_by_state)
