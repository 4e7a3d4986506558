"""Edits by rule: a message tidied up, or shortened, without a model (rule-based text editing).

Promises, each held by a property test:

- Code, links, addresses, mentions, labels and anything with a digit in it (numbers, dates, times) stay as they are,
  byte for byte, all of them and in their order. So does every capitalised word except a greeting, so names stay.
- Nothing is added: an edit leaves words out, or puts a shorter phrase for a longer one.
- Editing twice is editing once, and a message never becomes empty.

The lists are English. A filler word is left out only where the sentence means the same without it: not after a
negation, and not where it is the whole message.

    >>> shorten("Hi all,  could you basically send it in order to compare ?? The build is at 10:30...")
    'could you send it to compare? The build is at 10:30...'
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

_KEPT: Final = re.compile(
    r"```.*?(?:```|\Z)"
    r"|`[^`\n]*`?"
    r"|[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s`]+|www\.[^\s`]+"
    r"|[\w.+-]{1,64}@[\w.-]+"
    r"|[@#][^\s`]+"
    r"|\[[\w-]{1,64}\]"
    r"|:[\w+-]{1,40}:"
    r"|[^\s`\ue000]*\d[^\s`]*"
    r"|\ue000",
    re.DOTALL,
)
_PLACE: Final = "\ue000"  # a placeholder for something kept while the rules look at the rest

_TIDY: Final = (
    (re.compile(r"[ \t]+(?=\n|\Z)"), ""),  # at the end of a line
    (re.compile(r"(?<=[^\s])[ \t]{2,}|(?<=[^\s])\t"), " "),  # within one; its indentation stays
    (re.compile(r"\n{3,}"), "\n\n"),
    (re.compile(r"\A\s*\n|\A[ \t]+|\s+\Z"), ""),
    (re.compile(r"(?<=[^\s.,!?;:\ue000])[ \t]+(?=[,!?;](?:[\s,!?;]|\Z))"), ""),
    (re.compile(r"([,!;])\1+"), r"\1"),
    (re.compile(r"\?{2,}"), "?"),
    (re.compile(r"\.{4,}"), "..."),
)

_GREETING: Final = re.compile(
    r"\A\s*(?:hi|hello|hey|greetings|good (?:morning|afternoon|evening|day))"
    r"(?: (?:all|there|everyone|everybody|folks|team|guys))?[ \t]*(?:[,!.]+(?=\s)\s*|\n\s*)(?=\S)",
    re.IGNORECASE,
)
_FILLERS: Final = "actually|basically|literally|honestly|really|totally|simply|essentially|very|quite"
# Before a word in small letters, which is what it would only have stressed; "very much" and "quite a few" say more.
_FILLER: Final = re.compile(rf"(?<=[A-Za-z,] )(?:{_FILLERS}) (?=[a-z])(?!(?:much|few|a|an|the|so|as|or|and|but|to)\b)")
_KEEPS_FILLERS: Final = re.compile(
    r"(?:\b(?:not|never|no|nor|hardly|the|this|that|how|so|too|as|more|most|do|does|did|if|whether|or|and|but)"
    r"|n['\u2019]t|,) \Z"
)
_SHORTER: Final = {
    "in order to": "to",
    "due to the fact that": "because",
    "in spite of the fact that": "although",
    "in the event that": "if",
    "at this point in time": "now",
    "at the present time": "now",
    "for the purpose of": "for",
    "with regard to": "about",
    "with respect to": "about",
    "a large number of": "many",
    "a majority of": "most",
    "has the ability to": "can",
    "have the ability to": "can",
    "is able to": "can",
    "are able to": "can",
    "until such time as": "until",
}
_LONGER: Final = re.compile(
    rf"(?<![\w'\u2019-])(?:{'|'.join(sorted(_SHORTER, key=len, reverse=True))})(?![\w'\u2019-])"
)


def tidy(text: str) -> str:
    """Fix white space and repeated punctuation; change no word."""
    return _edited(text, _tidied)


def shorten(text: str) -> str:
    """Leave out filler words and a greeting to nobody in particular, shorten long phrases, and tidy up."""
    return _edited(text, _shortened)


EDITS: Final[Mapping[str, Callable[[str], str]]] = {"shorten": shorten, "tidy": tidy}
"""The edits by name."""


def _edited(text: str, rules: Callable[[str], str]) -> str:
    """Apply rules to all but what is kept, until they change nothing more; each makes the text shorter or plainer."""
    kept = _KEPT.findall(text)
    plain = _KEPT.sub(_PLACE, text)
    while (edited := rules(plain)) != plain:
        plain = edited
    pieces = iter(kept)
    done = re.sub(_PLACE, lambda _: next(pieces), plain)
    return done if done.strip() or not text.strip() else text


def _tidied(text: str) -> str:
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return text


def _shortened(text: str) -> str:
    text = _GREETING.sub("", _tidied(text))
    text = _LONGER.sub(lambda found: _SHORTER[found[0]], text)
    return _FILLER.sub(lambda found: found[0] if _KEEPS_FILLERS.search(text[: found.start()]) else "", text)
