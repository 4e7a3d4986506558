"""Permitted rows as a stream: judged again, batch by batch, in the moment in which each batch is handed out.

A long training run reads for hours, and somebody may say no while it does. So before each batch leaves, everything that
the ledger has heard since the last one is learned, and every row of the batch is judged anew. Nothing is ever held but
one batch: a training set may be larger than memory. Where workers of a loader read ahead, what they have read is judged
once more in the process of the loop, last thing before the loop has it.

The same batches come as Arrow record batches, pandas or polars data frames, a torch `IterableDataset`, or a Hugging
Face `IterableDataset`; each package is needed for its own form only.

    rows = workspace.records.rows("train/search")                                       # doctest: +SKIP
    for batch in rows:
        learn_from(batch["payload"])
    loader = torch.utils.data.DataLoader(rows.to_torch(), batch_size=32, num_workers=2)

Each module knows only those before it:

judge   whether rows may still be used, by everything that is known now
mixed   rows in another order: of several accounts at a time, from a buffer
torch   the same rows for torch: judged again in the loop, however far workers have read ahead
rows    the stream, in each of its forms
"""
