-- Our hours per resident and day beside those that CMS reports for the same facility and quarter; difference: ours less
-- CMS's. CMS prints none where it has a footnote, and has repeated an older quarter at times.
CREATE OR REPLACE VIEW v_hprd_reconciliation AS
SELECT
    ours.ccn,
    ours.state,
    ours.quarter AS staffing_quarter,
    cms.processing_date,
    ours.resident_days,
    ours.total_hours,
    ours.total_hprd,
    cms.total_hprd AS cms_total_hprd,
    ours.total_hprd - cms.total_hprd AS total_difference,
    ours.rn_hours,
    ours.rn_hprd,
    cms.rn_hprd AS cms_rn_hprd,
    ours.rn_hprd - cms.rn_hprd AS rn_difference
FROM v_hprd_facility_quarter AS ours
INNER JOIN gold_quarterly_provider_fact AS cms
    ON
        ours.ccn = cms.ccn
        AND ours.quarter = cms.staffing_quarter
