-- Certified beds of each facility in each month that it has rows in: of the latest snapshot until the month's end, else
-- of the earliest later one. A snapshot without beds says nothing. Facilities that no snapshot knows beds of are not here.
CREATE OR REPLACE VIEW v_bed_count_facility_month AS
WITH months AS (
    SELECT DISTINCT
        ccn,
        substr(CAST(work_date AS varchar), 1, 7) AS month,
        last_day_of_month(work_date) AS month_end
    FROM gold_daily_staffing_fact
)

SELECT
    months.ccn,
    months.month,
    coalesce(
        max_by(snapshots.certified_beds, snapshots.processing_date)
        FILTER (WHERE snapshots.processing_date <= months.month_end),
        min_by(snapshots.certified_beds, snapshots.processing_date)
    ) AS beds,
    min(snapshots.processing_date) > months.month_end AS beds_from_later_snapshot
FROM months
INNER JOIN silver_provider_info AS snapshots
    ON months.ccn = snapshots.ccn
WHERE snapshots.certified_beds > 0
GROUP BY
    months.ccn,
    months.month,
    months.month_end
