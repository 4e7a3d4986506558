"""Messages that people write on our own pages: chat like any other, collected the moment it is sent.

A form that is sent twice, by a second click or by going back, gives the same key, so it is stored once; another text
from the same form is another message.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from volition.canonical import digest
from volition.errors import InvalidInputError
from volition.records.audience import MENTIONS
from volition.records.ingest import Draft, PersonRef

LONGEST_CHARACTERS: Final = 20_000

_NAME: Final = re.compile(r"(?<!\S)@(?=(\S+(?: \S+){0,3}))")
_FORM: Final = re.compile("[0-9a-f]{32}")

Someone = TypeVar("Someone")


def mentioned(text: str, find: Callable[[str], Someone | None]) -> list[Someone]:
    """Return who is named in a message after an @, each time the longest name of up to four words that is known.

    Args:
        text: The message.
        find: Finds somebody by a name, alias, address or id; none if nobody goes by it, or several do.
    """
    found: list[Someone] = []
    for name in _NAME.findall(text):
        said = name.split(" ")
        for count in range(len(said), 0, -1):
            somebody = find(" ".join(said[:count]).rstrip(".,:;!?)"))
            if somebody is not None:
                found.append(somebody)
                break
    return found


def written_message(  # noqa: PLR0913 - what a message is made of
    text: str,
    *,
    account: str,
    channel: str,
    author: str,
    people: Sequence[str],
    mentions: Sequence[str],
    private: bool,
    form: str,
    at_us: int,
) -> Draft:
    """Return what somebody wrote as a draft of category `content/chat`.

    A key is `page:CHANNEL:AUTHOR'S PSEUDONYM:FORM:DIGEST of the text`.

    Args:
        text: What was written; white space around it is cut.
        account: Id of the account whose terms govern it.
        channel: The conversation that it is written in.
        author: The author's name, to show.
        people: Pseudonyms of everyone concerned, the author first.
        mentions: Pseudonyms of those among them who are merely mentioned, and no members of the conversation.
        private: Whether it is for its members alone.
        form: What names the form that was filled in: 32 hexadecimal characters, another for each form.
        at_us: When it was sent, microseconds since the Unix epoch, UTC.

    Raises:
        InvalidInputError: There are no words, too many, or no form of ours was filled in.
    """
    said = text.replace("\r\n", "\n").strip()
    if not said:
        raise InvalidInputError("There is nothing to send yet: the message has no words.")
    if len(said) > LONGEST_CHARACTERS:
        raise InvalidInputError(f"The message is longer than {LONGEST_CHARACTERS:,} characters. Send it in parts.")
    if not _FORM.fullmatch(form):
        why = "The form does not say which it is, so it could be sent twice. Reload the page and try again."
        raise InvalidInputError(why)
    return Draft(
        key=f"page:{channel}:{people[0]}:{form}:{digest(said.encode())[:16]}",
        account=account,
        people=tuple(PersonRef(pseudonym=pseudonym) for pseudonym in people),
        category="content/chat",
        at_us=at_us,
        payload={
            "kind": "message",
            "channel": channel,
            "ts": f"{at_us // 1_000_000}.{at_us % 1_000_000:06}",  # as a chat's exports write it
            "thread": None,
            "author": author,
            "text": said,
            **({"private": True} if private else {}),
            **({MENTIONS: list(mentions)} if mentions else {}),
        },
    )
