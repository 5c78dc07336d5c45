-- Facilities whose hours per resident and day, as CMS reports them in the snapshots of the run, differ from the published
-- ones by more than 0.00001 and half a per cent.
WITH cms AS (
    SELECT
        ccn,
        staffing_quarter,
        total_hprd,
        rn_hprd
    FROM staging_gold_quarterly_provider_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
        AND NOT gone
),

ours AS (
    SELECT
        ccn,
        quarter,
        CAST(sum(total_hours) AS decimal(33, 5)) / nullif(sum(census), 0) AS total_hprd,
        CAST(sum(rn_hours) AS decimal(33, 5)) / nullif(sum(census), 0) AS rn_hprd
    FROM gold_daily_staffing_fact
    WHERE
        quarter IN (
            SELECT cms.staffing_quarter
            FROM cms
        )
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
FROM cms
INNER JOIN ours
    ON
        cms.ccn = ours.ccn
        AND cms.staffing_quarter = ours.quarter
WHERE
    abs(ours.total_hprd - cms.total_hprd) > decimal '0.00001' + decimal '0.005' * cms.total_hprd
    OR abs(ours.rn_hprd - cms.rn_hprd) > decimal '0.00001' + decimal '0.005' * cms.rn_hprd
