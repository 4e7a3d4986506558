"""What our own pages and other sources tell of people as users: what they searched and read, their language and roles.

That somebody searched, read a summary, or sent a message with suggestions at hand, says what a feature saves (see
`transparency.savings`): a record says how much there was, never what was looked for, said or written. The language and
the roles that a source has for somebody say whether a feature works as well for one group as for another (see
`audit.groups`). Each is collected like any other record of `service/usage`: kept only where something may use it, shown
to whoever it is about, and erased with them.
"""

from collections.abc import Iterable
from typing import Any, Final

from volition.canonical import canonical_json, digest
from volition.records.ingest import Draft, PersonRef

LANGUAGE: Final = "browser.language"
ROLES: Final = "user.roles"
"""As OpenTelemetry spells them."""

MEMBER: Final = "user.known_as"

SEARCHED: Final = "search.asked"
READ: Final = "summary.read"
SENT: Final = "message.sent"

HITS: Final = "search.hits"
SPOKEN_WORDS: Final = "summary.spoken_words"
SHOWN_WORDS: Final = "summary.shown_words"
TASKS: Final = "summary.tasks"
LETTERS: Final = "message.characters"
TAKEN: Final = "message.taken_characters"
PRESSED: Final = "message.keys_for_taking"

_MOST_PRESSED: Final = 100_000  # beyond any person: what a browser says is not believed blindly
_LONGEST_MEAN_WORD: Final = 12  # characters, with a blank: English has about 6, Finnish 9, Japanese without blanks 50


def searched(pseudonym: str, *, account: str, hits: int, at_us: int) -> Draft:
    """Return the event that a person searched.

    Args:
        pseudonym: Who searched.
        account: Their account.
        hits: How many hits were shown.
        at_us: When, microseconds since the Unix epoch, UTC.
    """
    return _event(SEARCHED, pseudonym, account, {HITS: hits}, at_us)


def read_summary(  # noqa: PLR0913 - what there was to read
    pseudonym: str, *, account: str, spoken: Iterable[str], shown: Iterable[str], tasks: int, at_us: int
) -> Draft | None:
    """Return the event that a person was shown a summary; none where words cannot be counted.

    That is so in languages that put no blanks between words, for which the speed of reading is another one.

    Args:
        pseudonym: Who read it.
        account: Their account.
        spoken: What was said in the meeting, as far as that person may read it.
        shown: The lines of the summary.
        tasks: How many tasks it names.
        at_us: When, microseconds since the Unix epoch, UTC.
    """
    said = " ".join(spoken)
    words = len(said.split())
    if not words or len(said) > _LONGEST_MEAN_WORD * words:
        return None
    attributes = {SPOKEN_WORDS: words, SHOWN_WORDS: len(" ".join(shown).split()), TASKS: tasks}
    return _event(READ, pseudonym, account, attributes, at_us)


def sent_message(  # noqa: PLR0913 - what was counted
    pseudonym: str, *, account: str, letters: int, taken: int, pressed: int, at_us: int
) -> Draft | None:
    """Return the event that a person sent a message while suggestions were shown; none where the counts cannot be.

    Args:
        pseudonym: Who wrote it.
        account: Their account.
        letters: Its length, characters.
        taken: How many of them came from suggestions.
        pressed: With how many keys or clicks those were taken.
        at_us: When, microseconds since the Unix epoch, UTC.
    """
    if not 0 <= taken <= letters or not 0 <= pressed <= _MOST_PRESSED or (taken and not pressed):
        return None
    return _event(SENT, pseudonym, account, {LETTERS: letters, TAKEN: taken, PRESSED: pressed}, at_us)


def member(  # noqa: PLR0913 - what a source has of somebody
    person: PersonRef, *, account: str, language: object, roles: Iterable[object], key: str, at_us: int
) -> Draft | None:
    """Return the event that a source has a language and roles for a person; none where it has neither.

    Args:
        person: As the source names them.
        account: Their account.
        language: The language that they chose there, such as "de-AT"; anything but a text is none.
        roles: Their roles there; anything but a text is none.
        key: What tells this from what the source had earlier.
        at_us: Since when the source has it, microseconds since the Unix epoch, UTC.
    """
    attributes: dict[str, Any] = {}
    if isinstance(language, str) and language.strip():
        attributes[LANGUAGE] = language.strip()
    if named := sorted({role.strip() for role in roles if isinstance(role, str) and role.strip()}):
        attributes[ROLES] = named
    if not attributes:
        return None
    return Draft(
        key=f"{MEMBER}:{key}",
        account=account,
        people=(person,),
        category="service/usage",
        at_us=at_us,
        payload={"kind": "event", "name": MEMBER, "attributes": attributes, "body": None},
    )


def _event(name: str, pseudonym: str, account: str, attributes: dict[str, Any], at_us: int) -> Draft:
    return Draft(
        key=f"{name}:{digest(canonical_json([pseudonym, at_us]))}",
        account=account,
        people=(PersonRef(pseudonym=pseudonym),),
        category="service/usage",
        at_us=at_us,
        payload={"kind": "event", "name": name, "attributes": attributes, "body": None},
    )
