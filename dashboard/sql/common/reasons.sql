-- Rejected lines of all runs by pipeline and reason.
SELECT
    reports.pipeline,
    reasons.reason,
    sum(reasons.lines) AS lines
FROM run_reports AS reports
CROSS JOIN UNNEST(map_keys(reports.rejected_by_reason), map_values(reports.rejected_by_reason)) AS reasons (reason, lines)
GROUP BY
    reports.pipeline,
    reasons.reason
ORDER BY
    pipeline ASC,
    lines DESC,
    reason ASC
