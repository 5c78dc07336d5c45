-- One page of the facilities of one quarter, in the order of the hours of one group (total, rn, lpn, aide, direct), lowest or
-- highest first; of one state or all (''), with a minimum of resident-days. percentile: share of the facilities of its state
-- with lower hours. implausible: what CMS leaves out of its averages; such facilities are shown, not dropped.
WITH ranked AS (
    SELECT
        hprd.ccn,
        hprd.state,
        hprd.resident_days,
        hprd.incomplete,
        hprd.days_without_rn,
        hprd.cms_excluded AS implausible,
        hours.hprd,
        100 * percent_rank() OVER (PARTITION BY hprd.state ORDER BY hours.hprd) AS percentile,
        row_number() OVER (ORDER BY hours.hprd ASC, hprd.ccn ASC) AS lowest,
        row_number() OVER (ORDER BY hours.hprd DESC, hprd.ccn ASC) AS highest,
        count(*) OVER () AS facilities
    FROM v_hprd_facility_quarter AS hprd
    CROSS JOIN
        UNNEST(
            ARRAY['total', 'rn', 'lpn', 'aide', 'direct'],
            ARRAY[hprd.total_hprd, hprd.rn_hprd, hprd.lpn_hprd, hprd.aide_hprd, hprd.direct_hprd]
        ) AS hours (name, hprd)
    WHERE
        hprd.quarter = :quarter
        AND (:state = '' OR hprd.state = :state)
        AND hours.name = :group
        AND hprd.resident_days >= :minimum
)

SELECT
    ranked.ccn,
    known.provider_name,
    ranked.state,
    ranked.hprd,
    ranked.percentile,
    ranked.resident_days,
    ranked.implausible,
    ranked.incomplete,
    ranked.days_without_rn,
    known.ownership_type,
    known.staffing_rating,
    ranked.lowest,
    ranked.highest,
    ranked.facilities
FROM ranked
LEFT OUTER JOIN gold_facility_dim AS known
    ON ranked.ccn = known.ccn
WHERE
    (:first = 'lowest' AND ranked.lowest > :skip AND ranked.lowest <= :until)
    OR (:first = 'highest' AND ranked.highest > :skip AND ranked.highest <= :until)
ORDER BY ranked.lowest
