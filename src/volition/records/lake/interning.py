"""Interning: accounts, people and party sets are named by small dense integers inside a bucket, in order of arrival.

A party set is an account with the people of a record, the first one first. A number is never assigned twice.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from volition.records.lake.records import NewRecord, Row


class Interner:
    """Assigns accounts, people and party sets their dense numbers inside a bucket, in the open transaction."""

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._accounts: dict[str, int] = {}
        self._people: dict[tuple[int, str], int] = {}
        self._party_sets: dict[tuple[int, int, tuple[str, ...]], int] = {}

    def of(self, bucket: int, rows: Sequence[NewRecord | Row]) -> tuple[list[int], list[int]]:
        """Return the numbers of the account and of the party set of each of a bucket's records."""
        accounts = [self._account(bucket, row.account) for row in rows]
        party_sets = [self._party_set(bucket, account, row.people) for account, row in zip(accounts, rows, strict=True)]
        return accounts, party_sets

    def _account(self, bucket: int, account: str) -> int:
        if account not in self._accounts:
            self._accounts[account] = self._number("accounts", bucket, {"account": account})
        return self._accounts[account]

    def _party_set(self, bucket: int, account: int, people: tuple[str, ...]) -> int:
        key = (bucket, account, people)
        if key not in self._party_sets:
            members = json.dumps([self._person(bucket, pseudonym) for pseudonym in people])
            self._party_sets[key] = self._number("circles", bucket, {"account": account, "people": members})
        return self._party_sets[key]

    def _person(self, bucket: int, pseudonym: str) -> int:
        key = (bucket, pseudonym)
        if key not in self._people:
            self._people[key] = self._number("people", bucket, {"pseudonym": pseudonym})
        return self._people[key]

    def _number(self, table: str, bucket: int, values: dict[str, Any]) -> int:
        where = " AND ".join(f"{column} = ?" for column in values)
        found = self._index.execute(
            f"SELECT number FROM {table} WHERE bucket = ? AND {where}",  # noqa: S608 - our own names
            (bucket, *values.values()),
        ).fetchone()
        if found:
            return int(found[0])
        (number,) = self._index.execute(
            f"SELECT COALESCE(MAX(number) + 1, 0) FROM {table} WHERE bucket = ?",  # noqa: S608 - our own names
            (bucket,),
        ).fetchone()
        columns = ", ".join(values)
        self._index.execute(
            f"INSERT INTO {table} (bucket, number, {columns}) VALUES (?, ?{', ?' * len(values)})",  # noqa: S608
            (bucket, number, *values.values()),
        )
        return int(number)
