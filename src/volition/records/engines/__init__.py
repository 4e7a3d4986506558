"""Engines that run the gate over a table: one meaning, several interpreters, held equal by test.

Each module knows only those before it:

arrow        embedded, one row group at a time; the default
duckdb       embedded, by SQL
spark        one machine or many, by the same SQL
"""
