-- Contract staff and occupancy by month: of one state, or of all states together ('').
WITH mix AS (
    SELECT
        month,
        sum(employee_hours) AS employee_hours,
        sum(contract_hours) AS contract_hours
    FROM v_staffing_mix_state_month
    WHERE
        :state = ''
        OR state = :state
    GROUP BY month
),

beds AS (
    SELECT
        month,
        sum(facilities) AS facilities,
        sum(facilities_without_beds) AS facilities_without_beds,
        sum(resident_days) AS resident_days,
        sum(bed_days) AS bed_days
    FROM v_bed_utilization_state_month
    WHERE
        :state = ''
        OR state = :state
    GROUP BY month
)

SELECT
    mix.month,
    mix.employee_hours,
    mix.contract_hours,
    CAST(mix.contract_hours AS double) / nullif(mix.employee_hours + mix.contract_hours, 0) AS contract_share,
    beds.facilities,
    beds.facilities_without_beds,
    beds.resident_days,
    beds.bed_days,
    CAST(beds.resident_days AS double) / nullif(beds.bed_days, 0) AS occupancy
FROM mix
INNER JOIN beds
    ON mix.month = beds.month
ORDER BY mix.month
