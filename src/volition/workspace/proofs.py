"""Proofs: evidence to check offline, of the whole workspace or of one person, and what each model learned from them.

They speak of forgotten models as of those at work: a proof outlives what it is about.
"""

from bisect import bisect_left
from pathlib import Path
from typing import Any

from volition.consent.gate import Subject
from volition.consent.references import source_id
from volition.errors import DamagedError, InvalidInputError, ProofError
from volition.learning.registry import ModelState, at_work
from volition.ledger.entry import Entry
from volition.transparency.collected import is_provable, prove_collected
from volition.transparency.prove import prove_person, write_bundle
from volition.transparency.receipt import PROOFS_FORMAT, write_receipt
from volition.transparency.traces import Trace, trace, unsure
from volition.workspace.consent import Consent
from volition.workspace.opened import Opened
from volition.workspace.public_log import PublicLog
from volition.workspace.snapshots import Snapshots


class Proofs:
    """Writes evidence that anyone checks offline."""

    def __init__(self, opened: Opened, consent: Consent, snapshots: Snapshots, log: PublicLog) -> None:
        """Take the opened folder, what people said, the snapshots that models learned from, and what witnesses saw."""
        self._log = log
        self._opened = opened
        self._consent = consent
        self._snapshots = snapshots

    def bundle(self, path: Path) -> int:
        """Write the evidence bundle; return how many ledger entries it holds. `prove.verify_bundle` checks it."""
        return write_bundle(
            path,
            ledger=self._opened.ledger,
            snapshots=self._opened.folder / "snapshots",
            models=self._opened.folder / "models",
            releases=self._opened.folder / "releases",
            checkpoint=self._log.cosigned,
        )

    def traces(self, person: str) -> list[Trace]:
        """Return what every model that was ever trained learned from a person, oldest first."""
        history, at_us, models = self._opened.history(), self._opened.now_us, self._opened.models()
        parties = self._opened.identities(self._opened.party(f"person:{person}"))
        forgot = {entry.body["model"]: entry.body["parties"] for entry in history.events if entry.kind == "forgetting"}

        def of(state: ModelState) -> Trace:
            is_at_work, because = at_work(models, state.family) == state, forgot.get(state.id, ())
            try:
                return trace(
                    state,
                    self._snapshots.open(state.snapshot),
                    parties,
                    history,
                    at_us=at_us,
                    due_days=min(self._opened.due_days, state.due_days),
                    at_work=is_at_work,
                    forgot=because,
                )
            except (ProofError, DamagedError):  # of this training set alone: of the other models it is said
                purpose = self._snapshots.named(state.snapshot)["purpose"]
                return unsure(state, purpose, at_work=is_at_work, forgot=not set(parties).isdisjoint(because))

        return [of(state) for state in models.values()]

    def receipt(self, person: str, seq: int) -> dict[str, Any]:
        """Return the receipt for an answer of a person, by its ledger entry's number; `verify_receipt` checks it.

        Raises:
            InvalidInputError: That entry is no answer of this person.
        """
        known = self._opened.parties.person(person)
        [entry, *_] = [*self._consent.answers(person, before=seq + 1, limit=1), None]
        if entry is None or entry.seq != seq:
            raise InvalidInputError(f"Entry {seq} is no answer of {person}, so there is no receipt for it.")
        history = self._opened.history()
        bound = [] if known.account is None else history.bindings.terms_of(known.account)
        binding = [terms.id for start_us, terms in bound if start_us <= entry.at_us]
        return write_receipt(
            self._opened.ledger,
            entry,
            terms_seq=history.bindings.terms_seq(binding[-1]) if binding else None,
            region_seqs=self._regions(entry, known.account),
            controller=self._opened.settings.controller,
            under=self._log.checkpoint_above(entry.seq),
        )

    def _regions(self, answer: Entry, account: str | None) -> list[int]:
        """Return the entries that said, when an answer was given, where its party was and where their account was."""
        parties = [str(answer.body["party"]), *([] if account is None else [f"account:{account}"])]
        history, found = self._opened.history(), []
        for party in parties:
            since = [at_us for at_us, _ in history.regions(party) if at_us <= answer.at_us]
            if since:
                found.append(self._region_seq(party, since[-1], below=answer.seq))
        return found

    def _region_seq(self, party: str, at_us: int, *, below: int) -> int:
        """Return the number of the entry by which a party's region was recorded at an instant."""
        ledger = self._opened.ledger
        first = bisect_left(range(below), at_us, key=lambda seq: next(iter(ledger.entries(seq, seq + 1))).at_us)
        recorded = (one for one in ledger.entries(first, below) if one.kind == "region")
        return next(one.seq for one in recorded if one.body["party"] == party and one.at_us == at_us)

    def person(self, person: str, *, model: str | None = None) -> list[dict[str, Any]]:
        """Prove for each model (or one) whether it learned from a person; forgotten models included.

        There is a proof for each identity of theirs, since a training set names each by a pseudonym of its own.
        """
        pseudonyms = self._opened.parties.person(person).pseudonyms
        models = self._opened.models()
        if model is not None and model not in models:
            msg = f"There is no model {model!r}. `volition status` lists them."
            raise InvalidInputError(msg)
        named = [entry for entry in self._opened.history().events if entry.kind in {"snapshot", "model"}]
        return [
            prove_person(
                self._opened.ledger,
                snapshot,
                model=state.id,
                pseudonym=pseudonym,
                entries=named,
                checkpoint=self._log.checkpoint_above,
            )
            for state in models.values()
            if model is None or state.id == model
            for snapshot in (self._snapshots.open(state.snapshot),)
            for pseudonym in pseudonyms
        ]

    def collected(self, person: str, *, conversation: str | None = None, record: str | None = None) -> dict[str, Any]:
        """Prove to a person what was recorded about them; `verify_collected` checks it.

        Args:
            person: Whose records, under every identity of theirs. The caller answers for who asks.
            conversation: Only those of a meeting, channel or file of the person's account, by its name.
            record: Only this one, by its id.

        Raises:
            InvalidInputError: The person is not known, or no such record concerns them.
            RefusedError: The person was erased.
            ProofError: A record is not as it was collected.
        """
        subject, ref = self._recorded(person, conversation)
        return prove_collected(self._opened.ledger, self._opened.lake, subject, conversation=ref, record=record)

    def can_prove_collected(self, person: str, *, conversation: str | None = None) -> bool:
        """Return whether `collected` has anything to prove. Raises as it does, but for what it finds changed."""
        subject, ref = self._recorded(person, conversation)
        return is_provable(self._opened.lake, subject, conversation=ref)

    def _recorded(self, person: str, conversation: str | None) -> tuple[Subject, str | None]:
        """Return whose records are asked for, and how entries of the ledger name the conversation."""
        known = self._opened.parties.person(person)
        pseudonym, *merged = known.pseudonyms
        ref = None
        if conversation is not None:
            if known.account is None:
                raise InvalidInputError(f"{person} belongs to no account, so no conversation has a name for them.")
            source = source_id(known.account, conversation)
            ref = self._opened.parties.conversation_ref(known.account, source)
        return Subject(pseudonym=pseudonym, at_us=self._opened.now_us, merged=tuple(merged)), ref

    def evidence(self, person: str, *, model: str | None = None) -> dict[str, Any]:
        """Return a person's proof bundle: of each model (or one) whether it learned from them; and every receipt."""
        return {
            "format": PROOFS_FORMAT,
            "proofs": self.person(person, model=model),
            "receipts": [self.receipt(person, entry.seq) for entry in reversed(self._consent.answers(person))],
        }
