"""Sentence embeddings: derived from permitted content, and kept beside their source.

An embedding is computed only under a permit for the purpose at hand, once per record, encrypted under the account's key
and erased with its source. If a record was erased while its embedding was being computed, the embedding is discarded.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.progress import Progress
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.records import EMBEDDINGS, ORDER, Row, bucket_of
from volition.records.lake.writer import Writer


class TextEncoder(Protocol):
    """Turns texts into unit vectors: `encoder.Encoder`, or any other that gives the same vector for the same text."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings of n texts, shape (n, 384), float32, unit norm."""
        ...


class Embedder:
    """Computes the embeddings that are missing."""

    def __init__(self, writer: Writer, cipher: RecordCipher) -> None:
        self._writer = writer
        self._cipher = cipher

    def embed(
        self,
        category: str,
        underived: Iterable[Row],
        encoder: TextEncoder,
        progress: Progress,
        *,
        most: int | None = None,
    ) -> int:
        """Embed the text of a category's permitted records that have no embedding yet; return how many there were.

        With `most`, no more than so many are.
        """
        batch_size = 1024
        computed = 0
        missing = list(islice((row for row in underived if isinstance(row.payload.get("text"), str)), most))
        missing.sort(key=lambda row: (bucket_of(row.account), row.account, row.collected_us, row.record_id))
        for start in range(0, len(missing), batch_size):
            progress(f"embedding {category}", start, len(missing))
            rows = missing[start : start + batch_size]
            vectors = encoder.encode([row.payload["text"] for row in rows]).astype(np.float16)
            computed += self._keep(category, rows, vectors)
        if missing:
            progress(f"embedding {category}", len(missing), len(missing))
        return computed

    def _keep(self, category: str, rows: Sequence[Row], vectors: NDArray[np.float16]) -> int:
        kept = 0
        with self._writer.writing("the embeddings") as batch:
            interner = batch.index.interner()
            buckets: dict[int, list[int]] = defaultdict(list)
            known = set(batch.index.embedded([row.record_id for row in rows]))
            for position, row in enumerate(rows):
                if row.record_id not in known:
                    buckets[bucket_of(row.account)].append(position)
            for bucket, positions in sorted(buckets.items()):
                members = [rows[position] for position in positions]
                accounts, party_sets = interner.of(bucket, members)
                encrypted = self._cipher.encrypt(
                    members, [vectors[position].tobytes() for position in positions], suffix=b"/embedding"
                )
                columns = {
                    "record_id": [row.record_id for row in members],
                    "account": accounts,
                    "circle": party_sets,
                    "embedding": encrypted,
                }
                table = pa.table(columns, schema=EMBEDDINGS).sort_by(ORDER["embeddings"])
                batch.write(table, kind="embeddings", category=category, bucket=bucket, under=f"{category}/embeddings")
                batch.index.add_embedded(row.record_id for row in members)
                kept += len(members)
        return kept
