-- The snapshots of an Iceberg table, the current one first.
SELECT snapshot_id
FROM "{{ table }}$snapshots"
ORDER BY committed_at DESC
