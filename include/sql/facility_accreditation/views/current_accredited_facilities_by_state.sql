-- The counts of the newest published snapshot.
CREATE OR REPLACE VIEW current_accredited_facilities_by_state AS
SELECT
    counts.state_code,
    counts.state_name,
    counts.accredited_facilities,
    counts.facilities,
    counts.snapshot_date,
    counts.as_of
FROM accredited_facilities_by_state AS counts
INNER JOIN latest_facility_snapshot
    ON counts.snapshot_date = latest_facility_snapshot.snapshot_date
