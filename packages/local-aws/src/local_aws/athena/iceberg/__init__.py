"""Iceberg tables, as Athena keeps them: in the Glue catalog, with metadata and data on S3.

PyIceberg reads and writes the metadata and plans what a query reads; DuckDB reads and writes the data.
The modules are imported when a statement first meets such a table: PyIceberg takes a second to import.

| module | |
|---|---|
| `table.py` | the table in the catalog, its types, PyIceberg over the server's own S3 and Glue |
| `scan.py` | which files a query reads, and how: by field id, without deleted rows |
| `write.py` | data files with their metrics and partitions; commits |
| `changes.py` | INSERT, UPDATE, DELETE, MERGE, CREATE TABLE AS |
| `ddl.py` | CREATE, ALTER, DROP, SHOW, DESCRIBE |
| `maintenance.py` | OPTIMIZE, VACUUM |
| `inspect.py` | "table$snapshots" and its like |
"""
