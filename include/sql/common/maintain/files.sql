-- How many files an Iceberg table has now, and how large they are.
SELECT
    count(*) AS files,
    coalesce(sum(file_size_in_bytes), 0) AS bytes
FROM "{{ table }}$files"
