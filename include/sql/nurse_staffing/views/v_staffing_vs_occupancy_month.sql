-- Hours per resident and day beside occupancy, of the same facility and month.
CREATE OR REPLACE VIEW v_staffing_vs_occupancy_month AS
SELECT
    hprd.ccn,
    hprd.state,
    hprd.quarter,
    hprd.month,
    hprd.resident_days,
    hprd.total_hours,
    hprd.total_hprd,
    utilization.beds,
    utilization.bed_days,
    utilization.occupancy,
    utilization.over_capacity
FROM v_hprd_facility_month AS hprd
INNER JOIN v_bed_utilization_facility_month AS utilization
    ON
        hprd.ccn = utilization.ccn
        AND hprd.month = utilization.month
