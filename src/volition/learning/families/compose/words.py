"""Words of a chat message, as the compose family learns and suggests them.

A message becomes a list of tokens: words as they were written, and three marks that no word can equal.

    >>> tokens("Thanks! See https://example.com, it is in room 12")
    ['.', 'Thanks', '.', 'See', '#', 'it', 'is', 'in', 'room', '#']

- `.` begins every message and stands for the end of a sentence or line,
- `,` for other punctuation,
- `#` for what is never learned: code, links, addresses, mentions, channels, emoji codes, the labels of scrubbing, and
  whatever holds a digit. So no number, date, address or key can be suggested, however many people wrote it.

Two words stand side by side in the list only where nothing but white space lay between them.
"""

import re
from typing import Final

START: Final = "."
BREAK: Final = ","
UNLEARNED: Final = "#"
MARKS: Final = frozenset({START, BREAK, UNLEARNED})

LONGEST_WORD: Final = 40  # characters; what is longer is no word
LONGEST_REPLY: Final = 40  # characters
MOST_REPLY_WORDS: Final = 6

_GONE: Final = "\x00"
_SKIPPED: Final = re.compile(
    r"```.*?(?:```|\Z)"  # code, also where its end is not written yet
    r"|`[^`\n]*`?"
    r"|[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s`]+|www\.[^\s`]+"
    r"|[\w.+-]{1,64}@[\w.-]+"
    r"|[@#][^\s`]+"
    r"|\[[\w-]{1,64}\]"  # a label of scrubbing
    r"|:[\w+-]{1,40}:",
    re.DOTALL,
)
# A word: letters or digits, joined by single signs inside; a run of other signs and line ends.
_TOKEN: Final = re.compile(rf"[^\W_]+(?:['\u2019._/+&-][^\W_]+)*|{_GONE}|(?:[^\w\s{_GONE}]|[_\n])+")
_HAS_DIGIT: Final = re.compile(r"\d")
_ENDS: Final = re.compile(r"[.!?\n…]")


def raw_tokens(text: str) -> list[str]:
    """Cut a text up, without saying yet what each piece is: `classify` does, and its answer may be kept."""
    return _TOKEN.findall(_SKIPPED.sub(_GONE, text))


def classify(raw: str) -> str:
    """Return the token that a piece stands for: itself if it is a word, otherwise a mark."""
    if raw[0].isalnum():
        return UNLEARNED if len(raw) > LONGEST_WORD or _HAS_DIGIT.search(raw) else raw
    if raw == _GONE:
        return UNLEARNED
    return START if _ENDS.search(raw) else BREAK


def tokens(text: str) -> list[str]:
    """Return the tokens of a message, the mark of its beginning first."""
    return [START, *map(classify, raw_tokens(text))]


def before_cursor(text: str) -> tuple[list[str], str] | None:
    """Split what was typed so far into the tokens before the word to suggest and what is typed of that word already.

    Returns:
        Tokens, and the word begun, which is empty at the beginning of a message or after white space. None where
        nothing is suggested: inside code, a link or a mention, within a number, and right after punctuation.
    """
    if not text or text[-1].isspace():
        return tokens(text), ""
    raw = raw_tokens(text)
    if not text[-1].isalnum() or not raw or raw[-1] == _GONE or classify(raw[-1]) == UNLEARNED:
        return None
    return [START, *map(classify, raw[:-1])], raw[-1]


def short_reply(text: str) -> str | None:
    """Return a message as a reply that may be suggested whole: its white space plain, nothing unlearned in it.

    Returns:
        None if it is too long for that, or holds something that is never learned, or no word.
    """
    if len(text) > 2 * LONGEST_REPLY:  # cheap, and white space does not double a message
        return None
    plain = " ".join(text.split())
    if not plain or len(plain) > LONGEST_REPLY or "\n" in text.strip():
        return None
    found = tokens(plain)
    words = [token for token in found if token not in MARKS]
    return plain if 1 <= len(words) <= MOST_REPLY_WORDS and UNLEARNED not in found else None
