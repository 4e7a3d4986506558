"""What each dialect of SQL has words of its own for: its clock, an instant as a number, the members of a list.

Where a clock or an instant is rounded, it is rounded down, and how much it may be behind is said beside it: whoever
compares adds that where a refusal hangs on it.
"""

from typing import Final

DIALECTS: Final = ("duckdb", "postgres", "sqlite", "spark", "databricks", "snowflake", "bigquery", "trino")

_SQLITE_NOW_US: Final = (
    "CAST(STRFTIME('%s', 'now') AS INTEGER) * 1000000 + CAST(SUBSTR(STRFTIME('%f', 'now'), 4, 3) AS INTEGER) * 1000"
)

CLOCK_US: Final = {
    # Where now() stands still in a transaction, another clock is asked, once for each statement.
    "duckdb": ("SELECT EPOCH_US(UUID_EXTRACT_TIMESTAMP(UUIDV7()))", 1_000),
    "postgres": ("SELECT CAST(FLOOR(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000000) AS BIGINT)", 0),
    "sqlite": (_SQLITE_NOW_US, 1_000),
    "spark": ("UNIX_MICROS(CURRENT_TIMESTAMP())", 0),
    "databricks": ("UNIX_MICROS(CURRENT_TIMESTAMP())", 0),
    "snowflake": ("DATE_PART(EPOCH_MICROSECOND, CURRENT_TIMESTAMP())", 0),
    "bigquery": ("UNIX_MICROS(CURRENT_TIMESTAMP())", 0),
    "trino": ("CAST(FLOOR(TO_UNIXTIME(CURRENT_TIMESTAMP)) AS BIGINT) * 1000000", 1_000_000),
}
"""The engine's clock in microseconds since the Unix epoch, and by how much it may be behind."""

TIMESTAMP_US: Final = {
    "duckdb": ("EPOCH_US(volition_at)", 0),
    "postgres": ("CAST(FLOOR(EXTRACT(EPOCH FROM volition_at) * 1000000) AS BIGINT)", 0),
    "sqlite": ("CAST(STRFTIME('%s', volition_at) AS INTEGER) * 1000000", 999_999),
    "spark": ("UNIX_MICROS(volition_at)", 0),
    "databricks": ("UNIX_MICROS(volition_at)", 0),
    "snowflake": ("DATE_PART(EPOCH_MICROSECOND, volition_at)", 0),
    "bigquery": ("UNIX_MICROS(volition_at)", 0),
    "trino": ("CAST(FLOOR(TO_UNIXTIME(volition_at)) AS BIGINT) * 1000000", 999_999),
}
"""A timestamp with a time zone in microseconds since the Unix epoch, and by how much it may be behind."""

_UNNESTED: Final = "(SELECT volition_w.person, volition_w.n FROM UNNEST({}) WITH ORDINALITY AS volition_w(person, n))"
_JSON: Final = "(SELECT volition_w.value AS person, volition_w.key + 1 AS n FROM JSON_EACH({}) AS volition_w)"

MEMBERS: Final = {
    "duckdb": (_UNNESTED, "LEN({})"),
    "postgres": (_UNNESTED, "CARDINALITY({})"),
    "trino": (_UNNESTED, "CARDINALITY({})"),
    "sqlite": (_JSON, "JSON_ARRAY_LENGTH({})"),
}
"""A list's members as a table of `person` and `n`, from 1 on, in PostgreSQL's words; and how many there are."""
