"""Trust policies, in the form of C2SP tlog-policy: which logs and witnesses are trusted, and how many must have signed.

A checkpoint satisfies a policy if one of its logs signed it and its quorum of witnesses cosigned it: then at least so
many others saw the very same log.

    log log.example/volition+c87ae389+AQOh...
    witness north witness.example/n+468d99bb+BHm1... https://witness.example/n
    witness south witness.example/s+0c2f7a11+BC8x... https://witness.example/s
    group both all north south
    quorum both

Names are opaque: bytes that are not ASCII are kept as they are and never compared in another way than as bytes.

Source: c2sp.org/tlog-policy.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from volition.errors import InvalidInputError, ProofError
from volition.ledger.signing import Checkpoint, KeyKind, NoteSignature, VerifierKey, open_note, parse_checkpoint

MAX_LINES: Final = 1000
"""Longer policies are refused, so that a reader's work stays bounded."""

NONE: Final = "none"
"""The quorum that asks for no witness."""

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WHITESPACE = re.compile(r"[ \t]+")
_COUNT = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKey:
    """A log or a witness that a policy names.

    Attributes:
        name: What the policy calls it; a log has its origin here.
        key: Its public key.
        url: Where it is asked; empty where the policy does not say.
    """

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Witnesses, or groups of them, of which `threshold` must have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whom to trust.

    Attributes:
        logs: The logs; empty where another source says which log it is.
        witnesses: The witnesses, by the policy's names.
        groups: The groups, by name.
        quorum: The witness or the group that must have cosigned; `NONE` to ask for none.
    """

    logs: tuple[PolicyKey, ...]
    witnesses: Mapping[str, PolicyKey]
    groups: Mapping[str, Group]
    quorum: str

    @classmethod
    def of_log(cls, key: VerifierKey) -> Self:
        """Return the policy that trusts one log and asks for no witness."""
        return cls(logs=(PolicyKey(name=key.name, key=key),), witnesses={}, groups={}, quorum=NONE)

    @classmethod
    def from_text(cls, text: str | bytes) -> Self:
        """Read a policy.

        Raises:
            InvalidInputError: It is none; the message names the line.
        """
        decoded = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
        if not decoded.endswith("\n"):
            raise InvalidInputError("The policy does not end with a newline: it may have been cut off.")
        if _FORBIDDEN.search(decoded):
            raise InvalidInputError("The policy has control characters. It is plain text, with newlines alone.")
        lines = decoded.split("\n")
        if len(lines) > MAX_LINES:
            raise InvalidInputError(f"The policy has more than {MAX_LINES} lines.")
        reading = _Reading()
        for number, line in enumerate(lines, 1):
            words = _WHITESPACE.split(line.strip(" \t"))
            if words[0] and not words[0].startswith("#"):
                try:
                    reading.read(words)
                except InvalidInputError as error:
                    raise InvalidInputError(f"Line {number} of the policy: {error}") from error
        if reading.quorum is None:
            raise InvalidInputError("The policy has no quorum line. `quorum none` asks for no witness.")
        return cls(logs=tuple(reading.logs), witnesses=reading.witnesses, groups=reading.groups, quorum=reading.quorum)

    def has_quorum(self, cosigned: Iterable[str]) -> bool:
        """Say whether there is the quorum, given which witnesses cosigned, by the policy's names."""
        witnessed = {NONE, *cosigned}
        for name, group in self.groups.items():  # each after those that it is made of
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(name)
        return self.quorum in witnessed


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A checkpoint that satisfies a policy.

    Attributes:
        checkpoint: What the log claims.
        log: The log that signed it.
        witnesses: The policy's names of those who cosigned it, each with when it says it did, seconds since the epoch;
            of several times the last.
    """

    checkpoint: Checkpoint
    log: VerifierKey
    witnesses: Mapping[str, int]


def check_policy(note: str | bytes, policy: Policy, *, log: VerifierKey | None = None) -> Accepted:
    """Check that a checkpoint satisfies a policy.

    Args:
        note: The checkpoint, a signed note.
        policy: Whom to trust.
        log: The log that it must be of; none where the policy names the logs, and each of them is meant.

    Raises:
        InvalidInputError: The policy names no log and none was given, or does not trust the one that was given.
        ProofError: The checkpoint is not signed by a log that is trusted, or too few witnesses cosigned it.
    """
    logs = [one.key for one in policy.logs]
    if log is not None:
        if logs and log not in logs:
            raise InvalidInputError(f"The policy does not trust the log {log.to_text()}. Its log lines are others.")
        logs = [log]
    if not logs:
        raise InvalidInputError("The policy names no log. Give the log's public key besides.")
    names = {witness.key: name for name, witness in policy.witnesses.items()}
    verified = open_note(note, *logs, *names)
    checkpoint = parse_checkpoint(verified.text)
    signed = [one.key for one in verified.signatures if one.key in logs and one.key.name == checkpoint.origin]
    if not signed:
        raise ProofError(f"The checkpoint of {checkpoint.origin} is not signed by a log that is trusted.")
    witnesses: dict[str, int] = {}
    for one in verified.signatures:
        if one.key in names:
            witnesses[names[one.key]] = max(_time(one), witnesses.get(names[one.key], 0))
    if not policy.has_quorum(witnesses):
        raise ProofError(
            f"Too few witnesses cosigned the checkpoint of {checkpoint.size} entries: the quorum is "
            f"{policy.quorum!r}, and those who did are {', '.join(sorted(witnesses)) or 'nobody'}."
        )
    return Accepted(checkpoint=checkpoint, log=signed[0], witnesses=witnesses)


def _time(signature: NoteSignature) -> int:
    return signature.at_s or 0


class _Reading:
    """What the lines of a policy that were read so far have defined."""

    def __init__(self) -> None:
        self.logs: list[PolicyKey] = []
        self.witnesses: dict[str, PolicyKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._members: set[str] = set()

    def read(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) <= 1:
                self._log(key, *url)
            case ["witness", name, key, *url] if len(url) <= 1:
                self._witness(name, key, *url)
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, members)
            case ["quorum", name] if self.quorum is None:
                if name != NONE:
                    self._check_defined(name)
                self.quorum = name
            case ["quorum", _]:
                raise InvalidInputError("there is a quorum already; a policy has one.")
            case _:
                raise InvalidInputError(
                    "expected `log KEY [URL]`, `witness NAME KEY [URL]`, `group NAME all|any|K MEMBER...` or "
                    "`quorum NAME`."
                )

    def _log(self, text: str, url: str = "") -> None:
        key = _key(text, KeyKind.NOTE, "log")
        if any(one.key.public == key.public for one in self.logs):
            raise InvalidInputError("a log with this key is listed already.")
        self.logs.append(PolicyKey(name=key.name, key=key, url=url))

    def _witness(self, name: str, text: str, url: str = "") -> None:
        self._check_new(name)
        key = _key(text, KeyKind.COSIGNATURE, "witness")
        if any(one.key.public == key.public for one in self.witnesses.values()):
            raise InvalidInputError("a witness with this key is listed already, so it would count twice.")
        self.witnesses[name] = PolicyKey(name=name, key=key, url=url)

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        self._check_new(name)
        for member in members:
            self._check_defined(member)
            if member in self._members:
                raise InvalidInputError(f"{member!r} is in a group already; each is a member at most once.")
            self._members.add(member)
        if threshold in {"all", "any"}:
            count = len(members) if threshold == "all" else 1
        elif _COUNT.fullmatch(threshold) and int(threshold) <= len(members):
            count = int(threshold)
        else:
            raise InvalidInputError(f"{threshold!r} is no threshold: write all, any, or 1 to {len(members)}.")
        self.groups[name] = Group(threshold=count, members=tuple(members))

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise InvalidInputError(f"the name {name!r} is taken.")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise InvalidInputError(f"{name!r} is not defined on a line before.")


def _key(text: str, kind: KeyKind, what: str) -> VerifierKey:
    key = VerifierKey.from_text(text)
    if key.kind != kind:
        raise InvalidInputError(f"{key.name} has no key of a {what}: it is of another kind.")
    return key
