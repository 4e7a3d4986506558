"""The log for others: as files that any client reads, as proofs of single entries, and as witnesses have seen it.

A witness that knows more of this log than this log holds is evidence that it was cut off or forked. That is kept (see
`doubt`), and from then on nothing is decided or appended until it is mended.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from volition.canonical import us_to_text
from volition.errors import InvalidInputError, ProofError, RefusedError
from volition.ledger.cosignatures import WitnessState
from volition.ledger.policy import PolicyKey, check_policy
from volition.ledger.signing import VerifierKey, open_note, signature_lines
from volition.ledger.tiles import Exported, export_tiles
from volition.ledger.tlog_proof import TlogProof
from volition.ledger.witness import AddCheckpoint
from volition.workspace.doubt import Doubt
from volition.workspace.opened import Opened
from volition.workspace.witness_client import Answered, ask_all

_SECOND_US: Final = 1_000_000
_AGAIN_S: Final = 86_400  # a log that stands still is shown once a day, so that a rollback is seen even then
_MOST_BACKOFF: Final = 60  # times `every_s`
_ROUNDS: Final = 3  # a 409 says which size to prove from; another process may ask in between
_SEARCHED: Final = 1000  # sizes, for one that has the quorum
_LAST_S: Final = 253_402_300_799  # the end of the year 9999, which a date can be written of
_TOLD: Final = 200  # characters of what a witness answered


class AskedState(StrEnum):
    """What asking a witness gave."""

    COSIGNED = "cosigned"
    TROUBLE = "trouble"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What asking one witness gave.

    Attributes:
        witness: What the policy calls it.
        state: Whether it cosigned.
        size: The size of the checkpoint that it was asked about.
        why: Why it did not; empty if it did.
    """

    witness: str
    state: AskedState
    size: int
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"witness": self.witness, "state": self.state.value, "size": self.size, "why": self.why or None}


class PublicLog:
    """Publishes the log and asks witnesses."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened

    def export(
        self, folder: Path, *, with_entries: bool = True, cosigned: bool = False, unsalted: bool = False
    ) -> Exported:
        """Write the log as static files (C2SP tlog-tiles) into a folder; what is there already is left as it is.

        Args:
            folder: Where to.
            with_entries: Whether to write the entries as well; they have pseudonyms in them.
            cosigned: Whether to stop at the newest checkpoint that has the quorum of its witnesses.
            unsalted: Whether hashes alone may be written of a log in which early entries have no salt.

        Raises:
            InvalidInputError: The folder holds another log, or there is no cosigned checkpoint.
            RefusedError: Hashes alone are for anybody, and from those of entries without a salt what was said can be
                guessed.
            ProofError: The folder holds a checkpoint that the log does not extend: it was cut off or rewritten.
            BackendError: The folder cannot be written.
        """
        without_salt = 0 if with_entries or unsalted else self._unsalted()
        if without_salt:
            raise RefusedError(
                f"The first {without_salt} entries of this log were made by an earlier version and have no salt: "
                "anyone who guesses what one of them says can check the guess by its hash. Give the log to those alone "
                "who may read it, with entries; or, if that is as it may be, say --unsalted-too."
            )
        note = self.newest_cosigned() if cosigned else self.cosigned()
        if note is None:
            raise InvalidInputError("No checkpoint has the quorum of its witnesses yet. Run `volition log witness`.")
        return export_tiles(self._opened.ledger, self._opened.verifier, folder, note, with_entries=with_entries)

    def prove(self, seq: int, *, with_entry: bool = True) -> TlogProof:
        """Prove that an entry is in the log, under the newest checkpoint that has the quorum of its witnesses if any.

        Args:
            seq: The entry's number.
            with_entry: Whether the entry itself is in the proof; it must be given besides otherwise.

        Raises:
            InvalidInputError: There is no such entry.
        """
        size = self._opened.ledger.size
        if not 0 <= seq < size:
            raise InvalidInputError(f"There is no entry {seq}. The log has {size}, counted from 0.")
        note = self.checkpoint_above(seq)
        at = self._opened.ledger.open_checkpoint(note).size
        [entry] = self._opened.ledger.entries(seq, seq + 1)
        return TlogProof(
            index=seq,
            hashes=tuple(self._opened.ledger.prove_inclusion(seq, at)),
            note=note,
            extra=entry.leaf_bytes if with_entry else None,
        )

    def entry(self, seq: int) -> bytes:
        """Return an entry as it is hashed.

        Raises:
            InvalidInputError: There is no such entry.
        """
        [found] = self._opened.ledger.entries(seq, seq + 1)
        return found.leaf_bytes

    def cosigned(self, size: int | None = None) -> str:
        """Return the checkpoint of a size, by default now, with the signatures of the witnesses who cosigned it.

        Raises:
            InvalidInputError: The ledger never had that size.
            ProofError: The store does not hold what was signed.
        """
        at = self._opened.ledger.size if size is None else size
        note = self._opened.ledger.checkpoint(at)
        known = {witness.key.to_text(): witness.key for witness in self._witnesses.values()}
        if not known:
            return note
        for key, line in self._opened.cosignatures.lines(at).items():
            if key in known and _verifies(note + line, known[key]):
                note += line
        return note

    def newest_cosigned(self, *, above: int = 0) -> str | None:
        """Return the newest checkpoint of more than `above` entries that has the quorum of its witnesses, if any."""
        settings = self._opened.settings.witness
        if settings is None:
            return None
        size = self._opened.ledger.size
        for one in self._opened.cosignatures.sizes(_SEARCHED):
            if above < one <= size:
                note = self.cosigned(one)
                try:
                    check_policy(note, settings.policy, log=self._opened.verifier)
                except ProofError:
                    continue
                return note
        return None

    def checkpoint_above(self, seq: int) -> str:
        """Return the checkpoint to prove an entry under: the newest that the quorum cosigned, or else that of now."""
        return self.newest_cosigned(above=seq) or self.cosigned()

    def has_quorum(self) -> bool:
        """Say whether the newest checkpoint has the quorum of its witnesses."""
        note = self.newest_cosigned()
        return note is not None and note.startswith(self._opened.ledger.checkpoint().rpartition("\n\n")[0])

    def witnesses(self) -> list[dict[str, Any]]:
        """Return how it stands with each witness, as JSON objects; empty where none is asked."""
        return [
            {
                "witness": name,
                "url": witness.url,
                "size": state.size,
                "cosigned": us_to_text(state.at_s * _SECOND_US) if state.at_s else None,
                "asked": us_to_text(state.asked_s * _SECOND_US) if state.asked_s else None,
                "trouble": state.trouble or None,
            }
            for name, witness in self._witnesses.items()
            for state in [self._opened.cosignatures.state(witness.key)]
        ]

    def ask(self, *, only_due: bool = False) -> list[Asked]:
        """Ask the witnesses to cosign the newest checkpoint, and keep what they sign; nobody else waits for it.

        It may be called while there is doubt, which it ends once the witness that knew better cosigns.

        Args:
            only_due: Whether to ask only those whose turn it is: the log has grown, and they were not asked just now.

        Raises:
            InvalidInputError: volition.toml names no witness, or its policy is of other logs.
            ProofError: The store does not hold what was signed.
        """
        settings = self._opened.settings.witness
        if settings is None:
            raise InvalidInputError("volition.toml names no witness under [witness]. docs/how-to/witness.md says how.")
        if settings.policy.logs and self._opened.verifier not in [one.key for one in settings.policy.logs]:
            raise InvalidInputError(
                "The policy under [witness] has log lines, and none is this log's: see `volition key`."
            )
        states = {name: self._opened.cosignatures.state(one.key) for name, one in self._witnesses.items()}
        ledger = self._opened.ledger_in_doubt
        size = ledger.size  # read after what others noted of larger sizes
        asked = {name: one for name, one in self._witnesses.items() if not only_due or self._is_due(states[name], size)}
        if not size or not asked:
            return []
        note = ledger.checkpoint(size)
        olds = {name: states[name].size for name in asked}
        done = {
            name: Asked(witness=name, state=AskedState.DOUBT, size=size, why=_cut(old, size, "it once cosigned"))
            for name, old in olds.items()
            if old > size
        }
        for _ in range(_ROUNDS):
            requests = {
                name: (asked[name].url, self._request(old, size, note))
                for name, old in olds.items()
                if name not in done
            }
            for name, answer in ask_all(requests).items():
                judged = self._judge(asked[name], answer, old=olds[name], size=size, note=note)
                if isinstance(judged, int):
                    olds[name] = judged
                else:
                    done[name] = judged
        for name in asked.keys() - done.keys():
            done[name] = Asked(witness=name, state=AskedState.TROUBLE, size=size, why="others ask it at the same time")
        self._keep(done, asked)
        return [done[name] for name in asked]

    def _unsalted(self) -> int:
        """Return how many entries, all at the beginning, have no salt."""
        ledger = self._opened.ledger

        def has_salt(seq: int) -> bool:
            [entry] = ledger.entries(seq, seq + 1)
            return entry.salt is not None

        return bisect_left(range(ledger.size), 1, key=has_salt)

    @property
    def _witnesses(self) -> Mapping[str, PolicyKey]:
        settings = self._opened.settings.witness
        return {} if settings is None else settings.policy.witnesses

    @property
    def _now_s(self) -> int:
        return self._opened.clock() // _SECOND_US

    def _is_due(self, state: WitnessState, size: int) -> bool:
        settings = self._opened.settings.witness
        every_s = 0 if settings is None else settings.every_s
        wait_s = every_s * min(1 << min(state.failures, 10), _MOST_BACKOFF)
        if state.size == size and not state.failures:
            wait_s = max(_AGAIN_S, every_s)
        return not 0 <= self._now_s - state.asked_s < wait_s

    def _request(self, old: int, size: int, note: str) -> str:
        proof = tuple(self._opened.ledger_in_doubt.prove_consistency(old, size))
        return AddCheckpoint(old_size=old, proof=proof, note=note).to_text()

    def _judge(self, witness: PolicyKey, answer: Answered, *, old: int, size: int, note: str) -> Asked | int:
        """Return what an answer means; the size to prove from where the witness is to be asked again."""

        def failed(why: str, state: AskedState = AskedState.TROUBLE) -> Asked:
            return Asked(witness=witness.name, state=state, size=size, why=why)

        if answer.status == 200:
            return self._cosigned_by(witness, answer, size=size, note=note)
        told = " ".join(answer.text.split())[:_TOLD]
        if answer.status == 409:
            text = answer.text.removesuffix("\n")
            theirs = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
            if theirs == old == size:
                return failed(_forked(size), AskedState.DOUBT)
            if theirs > self._opened.ledger_in_doubt.size:
                return failed(_cut(theirs, size, "it has cosigned"), AskedState.DOUBT)
            if theirs in {-1, old}:
                return failed(f"it answered 409 without a size that makes sense: {told}")
            return theirs if theirs <= size else failed("somebody else showed it a newer checkpoint meanwhile")
        if answer.status == 422 and old:
            return failed(_forked(old), AskedState.DOUBT)
        why = {
            0: f"it was not reached: {told}",
            403: "it trusts another key for this log. Give its operator the line that `volition key` prints.",
            404: "it does not know this log. Give its operator the line that `volition key` prints.",
        }
        return failed(why.get(answer.status, f"it answered {answer.status}: {told}"))

    def _cosigned_by(self, witness: PolicyKey, answer: Answered, *, size: int, note: str) -> Asked:
        text = note.rpartition("\n\n")[0]
        try:
            [line, *_] = [*signature_lines(f"{text}\n\n{answer.text}", witness.key), ""]
            why = "it answered without a signature by the key in the policy"
        except ProofError as error:
            line, why = "", f"it answered without a signature that verifies: {error}"
        if not line:
            return Asked(witness=witness.name, state=AskedState.TROUBLE, size=size, why=why)
        at_s = open_note(note + line, witness.key).signatures[0].at_s or 0
        if at_s > _LAST_S:
            why = "its signature has a time that no clock shows"
            return Asked(witness=witness.name, state=AskedState.TROUBLE, size=size, why=why)
        self._opened.cosignatures.add(size, witness.key, line, at_s=at_s, asked_s=self._now_s)
        return Asked(witness=witness.name, state=AskedState.COSIGNED, size=size)

    def _keep(self, done: Mapping[str, Asked], asked: Mapping[str, PolicyKey]) -> None:
        """Keep what went wrong, and whether there is doubt now."""
        for name, one in done.items():
            if one.state is not AskedState.COSIGNED:
                self._opened.cosignatures.note_trouble(asked[name].key, one.why, asked_s=self._now_s)
        at = us_to_text(self._opened.clock())
        doubts = {one.witness: one for one in self._doubts(at)}
        for name, one in done.items():
            if one.state is AskedState.COSIGNED:
                doubts.pop(name, None)
            elif one.state is AskedState.DOUBT:
                doubts[name] = Doubt(key=asked[name].key.to_text(), witness=name, why=one.why, at=at)
        self._opened.keep_doubts(list(doubts.values()))

    def _doubts(self, at: str) -> list[Doubt]:
        """Return the doubts that were kept; where their file cannot be read, one of each witness."""
        try:
            return [*self._opened.doubts()]
        except ProofError as error:
            return [
                Doubt(key=witness.key.to_text(), witness=name, why=str(error), at=at)
                for name, witness in self._witnesses.items()
            ]


def _verifies(note: str, key: VerifierKey) -> bool:
    try:
        open_note(note, key)
    except ProofError:
        return False
    return True


def _cut(theirs: int, size: int, how: str) -> str:
    return f"{how} a checkpoint of {theirs} entries, and there are {size} here."


def _forked(size: int) -> str:
    return f"what it cosigned at {size} entries is not the beginning of the log here."
