"""The gate's expression in the forms in which others take it: a dbt macro, a row-security policy, a row filter.

A policy or a filter stands in the database, so whoever reads the table reads only what may be used, whatever they ask.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from volition.consent.permit_tables.expression import (
    STATE,
    TABLE,
    Column,
    Operand,
    Rows,
    Unit,
    permitted_where,
    quoted,
    quoted_table,
)
from volition.consent.terms.vocabulary import BUILT_IN, Vocabulary
from volition.errors import InvalidInputError

_PARAMETER: Final = "volition_row_"  # as no column of the tables of permits begins
_JINJA: Final = "{{{{ {} }}}}"


class Form(StrEnum):
    """In which form the expression is written."""

    WHERE = "where"
    DBT = "dbt"
    POLICY = "policy"
    ROW_FILTER = "row-filter"


def dbt_macro(rows: Rows, *, purpose: str, dialect: str, vocabulary: Vocabulary = BUILT_IN) -> str:
    """Return a dbt macro `volition_permitted(alias, permits, state)`; raises as `permitted_where`.

    Args:
        rows: As of `permitted_where`; how the rows are called is the macro's argument.
        purpose: The use.
        dialect: That of the adapter with which dbt runs it.
        vocabulary: Which categories and purposes there are.
    """
    alias, permits, state = (f"{word}_{secrets.token_hex(8)}" for word in ("rows", "permits", "state"))
    text = permitted_where(
        replace(rows, table=alias), purpose=purpose, dialect=dialect, table=permits, state=state, vocabulary=vocabulary
    )
    text = text.replace("{", "{{ '{' }}")  # what a name may hold is no Jinja
    for token, argument in ((alias, "alias"), (permits, "permits"), (state, "state")):
        text = text.replace(quoted(token, dialect), _JINJA.format(argument))
    return (
        f"{{# Rows that may be used for {purpose}: `where {{{{ volition_permitted('m', source('volition', '{TABLE}'),"
        f" source('volition', '{STATE}')) }}}}`. Past the state's good_until_us there are none. #}}\n"
        f"{{% macro volition_permitted(alias, permits='{TABLE}', state='{STATE}') -%}}\n{text}\n{{%- endmacro %}}\n"
    )


def row_policy(  # noqa: PLR0913 - a table, a use, and whom it binds
    rows: Rows,
    *,
    of: str,
    purpose: str,
    role: str | None = None,
    table: str = TABLE,
    state: str = STATE,
    vocabulary: Vocabulary = BUILT_IN,
) -> str:
    """Return the statements that make a PostgreSQL row-security policy; raises as `permitted_where`.

    Args:
        rows: As of `permitted_where`; the table that has them is `of`.
        of: The table that is read, as "name" or "schema.name".
        purpose: The use.
        role: Whom it binds: the role that reads for this purpose; none for everybody.
        table: The table of permits.
        state: Its state.
        vocabulary: Which categories and purposes there are.
    """
    name, own = quoted_table(of, "postgres")
    whom = "PUBLIC" if role is None else quoted(role, "postgres")
    condition = permitted_where(
        replace(rows, table=own), purpose=purpose, dialect="postgres", table=table, state=state, vocabulary=vocabulary
    )
    policy = quoted(f"volition {purpose}", "postgres")
    permits, its_state = (quoted_table(one, "postgres")[0] for one in (table, state))
    return "\n".join(
        [
            "-- A restrictive policy narrows what other policies let through. A table that has no other lets nothing",
            f"-- through, until there is one: CREATE POLICY everyone ON {name} USING (TRUE);".replace("\n", " "),
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;",
            f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY;",
            f"GRANT SELECT ON {permits}, {its_state} TO {whom};",
            f"DROP POLICY IF EXISTS {policy} ON {name};",
            f"CREATE POLICY {policy} ON {name} AS RESTRICTIVE FOR SELECT TO {whom} USING ({condition});",
            "",
        ]
    )


def row_filter(  # noqa: PLR0913 - a table, a use, and a function's name
    rows: Rows,
    *,
    of: str,
    purpose: str,
    function: str = "volition_permitted",
    table: str = TABLE,
    state: str = STATE,
    vocabulary: Vocabulary = BUILT_IN,
) -> str:
    """Return the statements that make a Unity Catalog row filter; raises as `permitted_where`.

    Args:
        rows: As of `permitted_where`.
        of: The table that is read, as "catalog.schema.name".
        purpose: The use.
        function: What the filter's function is called, likewise.
        table: The table of permits.
        state: Its state.
        vocabulary: Which categories and purposes there are.
    """
    columns: list[Column] = []
    kinds: list[str] = []

    def parameter(operand: Operand, kind: str = "STRING") -> Operand:
        if not isinstance(operand, Column):
            return operand
        columns.append(operand)
        kinds.append(kind)
        return Column(f"{_PARAMETER}{len(columns)}")

    asked = replace(
        rows,
        table=None,
        account=parameter(rows.account),
        people=[parameter(one) for one in rows.people],
        category=parameter(rows.category),
        at=parameter(rows.at, "TIMESTAMP" if rows.unit is Unit.TIMESTAMP else "BIGINT"),
    )
    condition = permitted_where(
        asked, purpose=purpose, dialect="databricks", table=table, state=state, vocabulary=vocabulary
    )
    called, name = quoted_table(function, "databricks")[0], quoted_table(of, "databricks")[0]
    parameters = _listed([f"{_PARAMETER}{place} {kind}" for place, kind in enumerate(kinds, 1)])
    given = _listed([quoted(one.name, "databricks") for one in columns])
    return (
        f"CREATE OR REPLACE FUNCTION {called}({parameters}) RETURNS BOOLEAN RETURN\n{condition};\n"
        f"ALTER TABLE {name} SET ROW FILTER {called} ON ({given});\n"
    )


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def written(  # noqa: PLR0913 - a form, and what any of them needs
    form: str,
    rows: Rows,
    *,
    purpose: str,
    dialect: str,
    role: str | None = None,
    table: str = TABLE,
    state: str = STATE,
    vocabulary: Vocabulary = BUILT_IN,
) -> str:
    """Return the expression in one of the forms; `rows.table` is the table that is read.

    Raises:
        InvalidInputError: There is no such form, it is another dialect's, or as `permitted_where`.
        MissingExtraError: sqlglot is not installed.
    """
    if form not in {*Form}:
        raise InvalidInputError(f"There is no form {form!r}. Name one of: {', '.join(Form)}.")
    its_own = {Form.POLICY: "postgres", Form.ROW_FILTER: "databricks"}.get(Form(form), dialect)
    if dialect != its_own:
        raise InvalidInputError(f"A {form} is a matter of {its_own}: say --dialect {its_own}.")
    of = rows.table or ""
    match Form(form):
        case Form.WHERE:
            return permitted_where(
                rows, purpose=purpose, dialect=dialect, table=table, state=state, vocabulary=vocabulary
            )
        case Form.DBT:
            return dbt_macro(rows, purpose=purpose, dialect=dialect, vocabulary=vocabulary)
        case Form.POLICY:
            return row_policy(rows, of=of, purpose=purpose, role=role, table=table, state=state, vocabulary=vocabulary)
        case Form.ROW_FILTER:
            return row_filter(rows, of=of, purpose=purpose, table=table, state=state, vocabulary=vocabulary)
