-- Facilities whose hours per resident and day differ from those that CMS reports by more than 0.00001 and half a per cent:
-- the quarters of the run as they will be, beside the published snapshots that report on them.
WITH ours AS (
    SELECT
        ccn,
        quarter,
        CAST(sum(total_hours) AS decimal(33, 5)) / nullif(sum(census), 0) AS total_hprd,
        CAST(sum(rn_hours) AS decimal(33, 5)) / nullif(sum(census), 0) AS rn_hprd
    FROM staging_gold_daily_staffing_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
        AND NOT gone
        AND census > 0
    GROUP BY
        ccn,
        quarter
)

SELECT
    cms.staffing_quarter AS slice,
    cms.ccn,
    ours.total_hprd,
    cms.total_hprd AS cms_total_hprd,
    ours.rn_hprd,
    cms.rn_hprd AS cms_rn_hprd
FROM gold_quarterly_provider_fact AS cms
INNER JOIN ours
    ON
        cms.ccn = ours.ccn
        AND cms.staffing_quarter = ours.quarter
WHERE
    cms.staffing_quarter IN ({{ slices }})
    AND (
        abs(ours.total_hprd - cms.total_hprd) > decimal '0.00001' + decimal '0.005' * cms.total_hprd
        OR abs(ours.rn_hprd - cms.rn_hprd) > decimal '0.00001' + decimal '0.005' * cms.rn_hprd
    )
