"""Encryption at rest: AES-256-GCM under the account's data key, bound to the record's identity (envelope encryption).

- `payload` of all but `service/...` is encrypted from the first day, and so is all derived from it, such as embeddings.
  Identities, times, categories and interned names stay readable for the gate.
- What lies in the lake is decrypted only here, for two modules: for `reader`, after the gate, and for `erase`, which
  must find what has to go, and returns none of it.
- The record's identity is the associated data (AEAD), so a ciphertext that was moved to another record does not open.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.consent.gate import PartySets
from volition.consent.parties import Parties
from volition.consent.references import ConversationRef
from volition.records.lake.permitted import OPENED, Groups
from volition.records.lake.records import PERSON, NewRecord, Row, is_sealed


class RecordCipher:
    """Encrypts and decrypts records with their accounts' keys."""

    def __init__(self, parties: Parties) -> None:
        self._parties = parties

    def encrypt(self, rows: Sequence[NewRecord | Row], plain: Sequence[bytes], *, suffix: bytes) -> list[bytes]:
        """Encrypt one plaintext per row under its account's key, bound to the record's identity."""
        encrypted: list[bytes] = [b""] * len(plain)
        by_account: dict[str, list[int]] = defaultdict(list)
        for position, row in enumerate(rows):
            by_account[row.account].append(position)
        for account, positions in by_account.items():
            pairs = [(rows[position].record_id.encode() + suffix, plain[position]) for position in positions]
            for position, data in zip(positions, self._parties.seal_many(account, pairs), strict=True):
                encrypted[position] = data
        return encrypted

    def conversation(self, account: str, source: str) -> ConversationRef | None:
        """Return what entries call a conversation; see `Parties.conversation_ref`."""
        return self._parties.conversation_ref(account, source)

    def decrypt_rows(self, batch: pa.RecordBatch, party_sets: PartySets, category: str) -> Iterator[Row]:
        """Yield the records of a batch, decrypted: a caller has asked the gate, or returns no record.

        Raises:
            RefusedError: An account was erased meanwhile.
        """
        columns = batch.to_pydict()
        identities: list[str] = columns["record_id"]
        payloads: list[bytes] = columns["payload"]
        embeddings: list[bytes | None] = columns.get("embedding") or [None] * len(identities)
        people = {
            party_set: tuple(person.removeprefix(PERSON) for person in party_sets.people_of(party_set))
            for party_set in set(columns["circle"])
        }
        by_owner: dict[str, list[int]] = defaultdict(list)
        for position, party_set in enumerate(columns["circle"]):
            by_owner[party_sets.account_of(party_set)].append(position)
        for account, positions in by_owner.items():
            plain = [payloads[position] for position in positions]
            if is_sealed(category):
                pairs = [(identities[position].encode(), payloads[position]) for position in positions]
                plain = self._parties.open_many(account, pairs)
            vectors = self._decrypt_embeddings(
                account, [(identities[position], embeddings[position]) for position in positions]
            )
            for position, payload, vector in zip(positions, plain, vectors, strict=True):
                yield Row(
                    record_id=identities[position],
                    account=account,
                    people=people[columns["circle"][position]],
                    category=category,
                    collected_us=columns["collected_us"][position],
                    payload=json.loads(payload),
                    embedding=vector,
                    conversation=self.conversation(account, columns["source"][position]),
                )

    def open_columns(self, batch: pa.RecordBatch, groups: Groups) -> pa.RecordBatch:
        """Return permitted rows, sealed as in `SEALED`, decrypted as in `OPENED`: a caller has asked the gate.

        Raises:
            RefusedError: An account was erased meanwhile.
        """
        numbers, place = np.unique(batch.column("group").to_numpy(), return_inverse=True)
        found = [groups.of(number) for number in numbers.tolist()]
        closed = np.array([is_sealed(group.category) for group in found], np.bool_)[place]
        payload, embedding = batch.column("payload"), batch.column("embedding")
        if closed.any():
            payload = self._open_column(payload, b"", batch, np.flatnonzero(closed))
        if embedding.null_count < len(embedding):
            there = np.flatnonzero(embedding.is_valid().to_numpy(zero_copy_only=False))
            embedding = self._open_column(embedding, b"/embedding", batch, there)
        columns = {
            "record_id": batch.column("record_id"),
            "group": batch.column("group"),
            "collected_us": batch.column("collected_us"),
            "conversation": self._conversations(batch),
            "payload": payload,
            "embedding": embedding,
        }
        return pa.record_batch([columns[name] for name in OPENED.names], schema=OPENED)

    def _open_column(
        self, column: pa.Array, suffix: bytes, batch: pa.RecordBatch, places: NDArray[np.int64]
    ) -> pa.Array:
        """Return a column with what is encrypted at some places decrypted; rows of one account stand together."""
        identities, accounts = batch.column("record_id").to_pylist(), batch.column("account").to_pylist()
        data = column.to_pylist()
        for account, own in groupby(places.tolist(), key=accounts.__getitem__):
            chosen = list(own)
            pairs = [(identities[place].encode() + suffix, data[place]) for place in chosen]
            for place, opened in zip(chosen, self._parties.open_many(account, pairs), strict=True):
                data[place] = opened
        return pa.array(data, column.type)

    def _conversations(self, batch: pa.RecordBatch) -> pa.Array:
        """Return what entries call the conversation of each row: empty where there is none, null where not known."""
        sources, accounts = (batch.column(name).dictionary_encode() for name in ("source", "account"))
        names, owners = sources.dictionary.to_pylist(), accounts.dictionary.to_pylist()
        both = accounts.indices.to_numpy().astype(np.int64) * max(len(names), 1) + sources.indices.to_numpy()
        pairs, place = np.unique(both, return_inverse=True)
        found = [self.conversation(owners[one // len(names)], names[one % len(names)]) for one in pairs.tolist()]
        return pa.array(found, pa.string()).take(pa.array(place))

    def _decrypt_embeddings(
        self, account: str, encrypted: Sequence[tuple[str, bytes | None]]
    ) -> list[NDArray[np.float32] | None]:
        there = [(identity.encode() + b"/embedding", data) for identity, data in encrypted if data is not None]
        decrypted = iter(self._parties.open_many(account, there))
        return [
            None if data is None else np.frombuffer(next(decrypted), dtype=np.float16).astype(np.float32)
            for _, data in encrypted
        ]
