"""Edits by rule: a message tidied up, or shortened, without a model (rule-based text editing).

Promises, each held by a property test:

- Code, links, addresses, mentions, labels and anything with a digit in it (numbers, dates, times) stay as they are,
  byte for byte, all of them and in their order. So does every capitalised word except a greeting and the noun of a long
  phrase, so names stay.
- Nothing is added: an edit leaves words out, or puts a shorter phrase for a longer one. Where the greeting that began a
  message goes, the message still begins with a capital.
- Editing twice is editing once, and a message never becomes empty.

Mistyped words are mended where there is a dictionary (`spelling`). The lists are English and German. A filler word is
left out only where the sentence means the same without it: not after or before a negation, and not where it is the
whole message.

    >>> shorten("Hi all,  could you basically send it in order to compare ?? The build is at 10:30...")
    'Could you send it to compare? The build is at 10:30...'
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from volition.errors import InvalidInputError

LONGEST: Final = 20_000
"""How many characters of a message are edited."""

_KEPT: Final = re.compile(
    r"```.*?(?:```|\Z)"
    r"|`[^`\n]*`?"
    r"|[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s`]+|www\.[^\s`]+"
    r"|[\w.+-]{1,64}@[\w.-]+"
    r"|[@#][^\s`]+"
    r"|\[[\w-]{1,64}\]"
    r"|:[\w+-]{1,40}:"
    r"|(?:(?<![^\s`\ue000])[^\s`\ue000\d]*+|[^\s`\ue000\d]{0,64}+)\d[^\s`]*"  # from where it begins, once
    r"|\ue000",
    re.DOTALL,
)
_PLACE: Final = "\ue000"  # a placeholder for something kept while the rules look at the rest

_TIDY: Final = (
    (re.compile(r"(?<![ \t])[ \t]++(?=\n|\Z)"), ""),  # at the end of a line
    (re.compile(r"(?<=[^\s])[ \t]{2,}|(?<=[^\s])\t"), " "),  # within one; its indentation stays
    (re.compile(r"\n{3,}"), "\n\n"),
    (re.compile(r"\A\s*\n|\A[ \t]+|(?<!\s)\s++\Z"), ""),
    (re.compile(r"(?<=[^\s.,!?;:\ue000])[ \t]++(?=[,!?;](?:[\s,!?;]|\Z))"), ""),
    (re.compile(r"([,!;])\1+"), r"\1"),
    (re.compile(r"\?{2,}"), "?"),
    (re.compile(r"\.{4,}"), "..."),
)

_GREETING: Final = re.compile(
    r"\A(?:\s*+(?:hi|hello|hey|greetings|good (?:morning|afternoon|evening|day)|hallo|moin|servus"
    r"|guten (?:morgen|tag|abend))"
    r"(?: (?:all|there|everyone|everybody|folks|team|guys|zusammen|allerseits|leute))?[ \t]*+"
    r"(?:[,!.]++(?=\s)\s*+|\n\s*+)(?=\S))++",
    re.IGNORECASE,
)
_FILLERS: Final = (
    "actually|basically|literally|honestly|really|totally|simply|essentially|very|quite"
    "|eigentlich|sozusagen|wirklich|ziemlich|grundsätzlich|gewissermaßen"
)
# Before a word in small letters, which is what it would only have stressed; "very much" and "quite a few" say more.
_FILLER: Final = re.compile(
    rf"(?<=[A-Za-zäöüß,] )(?:{_FILLERS}) (?=[a-zäöü])"
    r"(?!(?:much|few|a|an|the|so|as|or|and|but|to|nicht|kein|keine|viel|viele|und|oder)\b)"
)
_KEEPS_FILLERS: Final = re.compile(
    r"(?:\b(?:not|never|no|nor|hardly|the|this|that|how|so|too|as|more|most|do|does|did|if|whether|or|and|but"
    r"|nicht|nie|kein|keine|keinen|wie|zu|ob|der|die|das|den|dem|ein|eine|einen|einem|einer|und|oder|aber)"
    r"|n['\u2019]t|,) \Z"
)
_LOOKED_BACK: Final = 16  # characters: longer than each of these with what stands before it
_PLAIN_WORD: Final = re.compile(r"[a-zäöü][a-zäöüß]*(?![\w@/]|\.\w)")  # not "iPhone", nor the name of a file
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
    "aus diesem Grund": "deshalb",
    "zum gegenwärtigen Zeitpunkt": "derzeit",
    "zum jetzigen Zeitpunkt": "jetzt",
    "nichtsdestotrotz": "trotzdem",
    "aufgrund der Tatsache, dass": "weil",
    "trotz der Tatsache, dass": "obwohl",
}
_LONGER: Final = re.compile(
    rf"(?<![\w'\u2019-])(?:{'|'.join(sorted(_SHORTER, key=len, reverse=True))})(?![\w'\u2019-])"
)

Mend = Callable[[str], str]
"""Mends mistyped words in a text from which what must stay was taken out."""


def _unchanged(text: str) -> str:
    return text


def tidy(text: str, mend: Mend = _unchanged) -> str:
    """Fix white space, repeated punctuation, and words that `mend` mends; change no other word."""
    return _edited(text, _tidied, mend)


def shorten(text: str, mend: Mend = _unchanged) -> str:
    """Leave out filler words and a greeting to nobody in particular, shorten long phrases, and tidy up."""
    return _edited(text, _shortened, mend)


EDITS: Final[Mapping[str, Callable[..., str]]] = {"shorten": shorten, "tidy": tidy}
"""The edits by name: each takes a text, and what mends words (`Mend`) where there is something."""


def _edited(text: str, rules: Callable[[str], str], mend: Mend) -> str:
    """Mend words, then apply rules until they change nothing more, to all but what is kept.

    Each rule makes the text shorter or plainer.
    """
    if len(text) > LONGEST:
        raise InvalidInputError(f"A message of more than {LONGEST:,} characters is not edited. Shorten it first.")
    kept = _KEPT.findall(text)
    plain = mend(_KEPT.sub(_PLACE, text))
    while (edited := rules(plain)) != plain:
        plain = edited
    pieces = iter(kept)
    done = re.sub(_PLACE, lambda _: next(pieces), plain)
    return done if done.strip() or not text.strip() else text


def _without_greeting(text: str) -> str:
    """Leave out a greeting; what followed begins the message then, with a capital if the greeting did."""
    found = _GREETING.match(text)
    if found is None:
        return text
    rest = text[found.end() :]
    begins = _PLAIN_WORD.match(rest)
    if begins is None or not found.group().lstrip()[0].isupper():
        return rest
    return rest[0].upper() + rest[1:]


def _keeps_filler(text: str, start: int) -> bool:
    """Return whether what stands before a filler word gives it a meaning; the last words alone are looked at."""
    return _KEEPS_FILLERS.search(text, max(0, start - _LOOKED_BACK), start) is not None


def _tidied(text: str) -> str:
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return text


def _shortened(text: str) -> str:
    text = _without_greeting(_tidied(text))
    text = _LONGER.sub(lambda found: _SHORTER[found[0]], text)
    return _FILLER.sub(lambda found: found[0] if _keeps_filler(text, found.start()) else "", text)
