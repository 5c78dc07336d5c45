-- One facility in each quarter, beside what CMS reports for it.
SELECT
    ours.quarter,
    ours.days,
    ours.resident_days,
    ours.total_hprd,
    ours.rn_hprd,
    ours.lpn_hprd,
    ours.aide_hprd,
    ours.direct_hprd,
    cms.cms_total_hprd,
    cms.total_difference,
    ours.days_without_rn,
    ours.incomplete,
    ours.cms_excluded AS implausible
FROM v_hprd_facility_quarter AS ours
LEFT OUTER JOIN v_hprd_reconciliation AS cms
    ON
        ours.ccn = cms.ccn
        AND ours.quarter = cms.staffing_quarter
WHERE ours.ccn = :ccn
ORDER BY ours.quarter
