"""Tables that others keep, judged where they lie: the rows that may be used, in the table's own form and order.

A mapping says which columns name the account, the people, the category and the time of a row. Every row is judged when
it is read, by all that the ledger holds at that moment; a row that names nobody, or somebody who is not there, is left
out and counted with its reason, like every other one that may not be used.

| table | comes out as | read |
|---|---|---|
| Arrow table, record batch; pandas or polars frame | the same | at once: it is in memory |
| Arrow reader | a reader | a batch at a time |
| polars lazy frame | a lazy frame | a batch at a time by its streaming engine |
| DuckDB relation | a relation | a vector at a time, each time it runs |
| Arrow dataset; file or folder of Parquet; Delta or Iceberg table | an Arrow reader | a batch at a time |
| Spark frame, Spark Connect's too | a frame | by Spark itself, which joins the permits of its party sets |

Each module knows only those before it:

mapping    which columns of a table say whose, about whom, of what kind, and when
judged     rows judged batch by batch, and how many were left out for which reason
refused    a few of the rows that were left out, for whoever asks why
columnar   Arrow, pandas, polars
files      Parquet, Delta, Iceberg
relation   DuckDB
frame      Spark and Spark Connect
forms      which of these forms a table has
written    what may be used, written to a file that appears whole or not at all
erasing    the rows of somebody who was erased, taken out of Delta and Iceberg tables
version    a table at one version: its data files, their rows and digests
answers    what every row gets at one instant, and whom it names, from the gate or from a table of party sets
part       which rows of one data file may be used, without a byte of what they say
cluster    parts of a snapshot made by Spark or Spark Connect
places     rows of a table at a version, read back by where they are in its files
"""
