-- Removes snapshots that are older than the table keeps them, and the files that only those needed.
-- noqa: disable=all
VACUUM {{ table }}
