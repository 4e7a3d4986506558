"""Where a table of permits is kept for others: each replaces it so that nobody reads half of it.

Each module knows only those before it:

target     what a target does; one whose two tables are replaced one after the other
files      a folder of Parquet files; one DuckDB file
lakehouse  Delta and Iceberg tables
database   two tables in SQLite or PostgreSQL, changed in one transaction
"""

from volition.consent.permit_tables.targets.target import Target

__all__ = ["Target"]
