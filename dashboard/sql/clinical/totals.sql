-- Measures over all months ('all') of each organization, and over whole years of all organizations together ('ALL'), of those
-- whose names begin with a text. NULL is what must not be shown: counts from 1 to :minimum - 1, and what they could be computed
-- from: a sum beside which one month is hidden; the smallest other organization (or year) beside one that is hidden.
WITH minimum AS (
    SELECT numbers.least
    FROM UNNEST(sequence(1, 1000)) AS numbers (least)
    WHERE numbers.least = :minimum
),

months AS (
    SELECT
        counts.measure,
        counts.org_id,
        counts.month,
        counts.numerator,
        counts.denominator,
        shown.suppressed,
        counts.data_end,
        CASE
            WHEN starts_with(counts.measure, 'hai_') AND counts.measure <> 'hai_per_1000_patient_days' THEN 'hai_types'
            ELSE counts.measure
        END AS family,
        counts.measure <> 'alos' AND NOT starts_with(counts.measure, 'hai_') AS is_proportion
    FROM gold_clinical_measures AS counts
    INNER JOIN v_public_clinical_measures AS shown
        ON
            counts.measure = shown.measure
            AND counts.org_id = shown.org_id
            AND counts.month = shown.month
    WHERE starts_with(counts.measure, :measures)
),

periods AS (
    SELECT
        measure,
        family,
        is_proportion,
        org_id,
        'all' AS period,
        sum(numerator) AS numerator,
        sum(denominator) AS denominator,
        count_if(suppressed) AS hidden_months,
        coalesce(sum(numerator) FILTER (WHERE suppressed), 0) AS hidden_numerator,
        max(data_end) AS data_end
    FROM months
    GROUP BY
        measure,
        family,
        is_proportion,
        org_id

    UNION ALL

    SELECT
        measure,
        family,
        is_proportion,
        org_id,
        substr(month, 1, 4) AS period,
        sum(numerator) AS numerator,
        sum(denominator) AS denominator,
        count_if(suppressed) AS hidden_months,
        coalesce(sum(numerator) FILTER (WHERE suppressed), 0) AS hidden_numerator,
        max(data_end) AS data_end
    FROM months
    WHERE org_id = 'ALL'
    GROUP BY
        measure,
        family,
        is_proportion,
        org_id,
        substr(month, 1, 4)
),

small AS (
    SELECT
        periods.measure,
        periods.org_id,
        periods.period,
        periods.numerator,
        periods.denominator,
        periods.data_end,
        CASE
            WHEN periods.org_id <> 'ALL' THEN 'organizations'
            WHEN periods.period <> 'all' THEN 'years'
            ELSE 'total'
        END AS level,
        bool_or(
            periods.numerator BETWEEN 1 AND minimum.least - 1
            OR periods.denominator BETWEEN 1 AND minimum.least - 1
            OR (periods.is_proportion AND periods.denominator - periods.numerator BETWEEN 1 AND minimum.least - 1)
            OR periods.hidden_months = 1
            OR (periods.hidden_months > 0 AND periods.hidden_numerator BETWEEN 1 AND minimum.least - 1)
        ) OVER (PARTITION BY periods.family, periods.org_id, periods.period) AS is_small
    FROM periods
    CROSS JOIN minimum
),

-- At each level: how many are hidden, and which other one is the smallest.
levels AS (
    SELECT
        measure,
        org_id,
        period,
        numerator,
        denominator,
        data_end,
        level,
        is_small,
        count_if(is_small) OVER (PARTITION BY measure, level) AS hidden,
        count_if(NOT is_small AND numerator > 0) OVER (PARTITION BY measure, level) AS others,
        row_number() OVER (
            PARTITION BY measure, level, is_small OR numerator = 0
            ORDER BY numerator ASC, org_id ASC, period ASC
        ) AS smallest
    FROM small
),

judged AS (
    SELECT
        measure,
        org_id,
        period,
        numerator,
        denominator,
        data_end,
        is_small
        OR (level <> 'total' AND hidden = 1 AND numerator > 0 AND smallest = 1)
        OR (
            level = 'total'
            AND count_if(level <> 'total' AND hidden = 1 AND others = 0) OVER (PARTITION BY measure) > 0
        ) AS suppressed
    FROM levels
)

SELECT
    measure,
    org_id,
    period,
    CASE WHEN NOT suppressed THEN numerator END AS numerator,
    CASE WHEN NOT suppressed THEN denominator END AS denominator,
    CASE
        WHEN NOT suppressed
            THEN
                CAST(numerator AS double) * CASE WHEN starts_with(measure, 'hai_') THEN 1000 ELSE 1 END
                / nullif(denominator, 0)
    END AS rate,
    suppressed,
    data_end
FROM judged
ORDER BY
    measure,
    org_id,
    period
