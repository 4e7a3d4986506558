"""Records: what came in, where it lies, and what the gate lets out of it (a data lake with row-level access control).

What it guarantees: nothing reads records but through the gate; bad input is set aside with a reason, and costs no good
record; what is sent twice is stored once; files appear whole or not at all.

Each module knows only those before it:

foreign      tables that others keep: what may be used of them, in the form that they have
engines      what runs the gate over files: Arrow, DuckDB, Spark
commitment   what the ledger commits to of each batch that is collected
spilled      more rows than fit into memory, sorted
lake         where records lie, encrypted, laid out for the gate
audience     who may read a conversation without any AI
tables       files of rows, as other systems hand them over: CSV, JSON lines, Parquet
ingest       readers of transcripts, chat exports, files, telemetry
stream       permitted rows, judged again batch by batch
scrub        personal identifiers inside content, replaced
numbered     numbers for rows and lists that are alike
table_rows   rows of a table that others keep, identifiers replaced, as a training sees them
snapshot     a frozen, listed training set
croissant    what a snapshot is, for tools that load data sets
frozen_files   the files of a snapshot as they are written
scrubbing    the payloads of a snapshot's rows, scrubbed
sealing      their content, encrypted
freeze       how a snapshot is made
listed       how a snapshot of a table that others keep is made: its rows are listed, not copied
"""
