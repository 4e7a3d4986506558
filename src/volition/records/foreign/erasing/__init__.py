"""Tables that others keep, without the rows of somebody who was erased: Delta and Iceberg.

Deleting rows there writes new files, and leaves the older ones for whoever reads an older version. So three things are
done, in an order in which a killed process is simply run again:

1. The rows go, in a commit of its own.
2. The versions from before end: the files that only they name are removed, the data first and what names it last, so
   that what is still to be removed is found again. Nobody can read the table as it was before.
3. Every file that is left is searched for the names, in its bytes and in what it holds unpacked: what is found is told.

A file that no version ever named may be of somebody who is about to commit it. It is removed once it is a day old.

Each module knows only those before it:

whom      whom rows are to go of, and which columns say so
traces    where the names of somebody are left in files
place     the files below a table's folder: listed, opened, removed
outcome   what would go, and what went
delta     a Delta table, by delta-rs
iceberg   an Iceberg table, by pyiceberg and a catalogue
opened    which of these a table is
"""
