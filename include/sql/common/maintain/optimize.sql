-- Few large files in place of many small ones; rows that a MERGE has marked as deleted leave their files.
-- noqa: disable=all
OPTIMIZE {{ table }} REWRITE DATA USING BIN_PACK
