-- The newest published snapshot, one row.
CREATE OR REPLACE VIEW latest_facility_snapshot AS
SELECT max(snapshot_date) AS snapshot_date
FROM accredited_facilities_by_state
