"""Permits as a table that others read, and the gate as an SQL expression over it.

For rows that lie elsewhere, in a warehouse or a lakehouse: the table says of each party of an account since when there
has been a permit, the state until when that may be believed, and the expression is true where a row may be used. It
lets no row through that the gate would refuse; what a table cannot say is refused (`lines`).

Each module knows only those before it:

lines       the table: a line for each party, its part, a category and a purpose
state       until when the table holds, and up to which entry it knows
dialects    what each dialect of SQL has words of its own for
expression  the gate over somebody else's rows, in SQL
forms       the expression as a dbt macro, a PostgreSQL policy, a Unity Catalog row filter
targets     where a table is kept: Parquet, Delta, DuckDB, SQLite, PostgreSQL
"""
