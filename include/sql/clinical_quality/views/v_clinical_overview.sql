-- Each measure of each organization over all months; ALL is all organizations. Rates are recomputed, not averaged.
-- Observed, not adjusted for risk; infections are proxies from diagnosis codes, not surveillance.
CREATE OR REPLACE VIEW v_clinical_overview AS
WITH totals AS (
    SELECT
        measure,
        org_id,
        sum(numerator) AS numerator,
        sum(denominator) AS denominator,
        CASE WHEN starts_with(measure, 'hai_') THEN 1000 ELSE 1 END AS scale,
        min(month) AS first_month,
        max(month) AS last_month,
        max(data_end) AS data_end
    FROM gold_clinical_measures
    GROUP BY
        measure,
        org_id
),

shares AS (
    SELECT
        measure,
        org_id,
        numerator,
        denominator,
        scale,
        first_month,
        last_month,
        data_end,
        CASE
            WHEN scale = 1 AND measure <> 'alos' AND denominator > 0
                THEN CAST(numerator AS double) / CAST(denominator AS double)
        END AS share,
        CAST(nullif(denominator, 0) AS double) AS units,
        double '1.959963984540054' AS z
    FROM totals
),

intervals AS (
    SELECT
        measure,
        org_id,
        numerator,
        denominator,
        scale,
        first_month,
        last_month,
        data_end,
        (share + z * z / (2 * units)) / (1 + z * z / units) AS centre,
        z * sqrt(share * (1 - share) / units + z * z / (4 * units * units)) / (1 + z * z / units) AS half
    FROM shares
)

SELECT
    measure,
    org_id,
    numerator,
    denominator,
    CAST(
        CAST(
            (2 * 100000 * scale * numerator + denominator) / nullif(2 * denominator, 0) AS decimal(18, 0)
        ) * decimal '0.00001' AS decimal(18, 5)
    ) AS rate,
    CAST(greatest(centre - half, double '0') AS decimal(7, 5)) AS ci_low,
    CAST(least(centre + half, double '1') AS decimal(7, 5)) AS ci_high,
    first_month,
    last_month,
    data_end
FROM intervals
