"""Prose: does a text in telemetry look like what somebody said or wrote?

Only letters are looked at, never meaning, so it is a guess that asks a question and decides nothing for good:

- words among which common ones stand ("the", "wir", "est") are prose; codes, paths, URLs, SQL, user agents and stack
  traces are not, since most of what stands between their blanks is no plain word;
- under a name that people write under ("transcript", "comment") a few words are enough, under one that programs use,
  too ("message", "body"), it takes a sentence, and under any other name a long one;
- where programs report ("exception.message", "url.full", the body of a log) it takes somebody who speaks for themselves
  ("I", "unser"), since a report is written in sentences as well;
- what is longer than anything a program should report is asked about, whatever it holds.
"""

import re
import unicodedata
from typing import Final

LONGEST: Final = 4_096
"""Characters of a text in telemetry about which nothing is asked; stack traces, statements, addresses may be longer."""


def _these(words: str) -> frozenset[str]:
    return frozenset(words.split())


_COMMON: Final = _these(
    "the a an and or but of to in on at for with from is are was were be been it its this that these those not no yes "
    "do does did have has had will would can could should there here what when where who why how if so as by about "
    "all just also then than too very some any more "
    "der die das ein eine und oder aber nicht mit von zu im am auf für ist sind war wird haben hat auch noch schon "
    "wenn dass bitte "
    "le la les un une des du de et ou mais ne pas que qui est sont avec pour dans sur plus aussi "
    "el los las una y o pero que no es son con para en por se lo más "
    "il lo gli e ma non che è sono con per di da "
    "o os as um uma e mas não que é são com para em "
    "het een en of maar niet dat is zijn met voor van op te"
)
_OWN: Final = _these(
    "i i'm i'll i've i'd me my mine myself we we're we'll we've us our ours you're y'all let's "
    "ich mir mich mein meine wir uns unser unsere je j'ai moi mon ma mes nous notre nos yo mi mis nosotros nuestro io "
    "mio mia noi nostro eu meu minha nós nosso ik mij mijn wij ons onze"
)
"""Words of somebody who speaks for themselves."""

_WRITTEN: Final = re.compile(
    r"(?:^|[._-])(?:transcript|utterance|prompt|completion|comment|reply|chat|dm|im|sms|e?mail)s?"
    r"(?:[._-](?:text|body|content|message|line|raw|input))?$|^gen_ai\..*(?:messages|content)"
)
_EITHER: Final = re.compile(
    r"(?:^|[._-])(?:message|messages|msg|body|text|content|note|notes|captions?|subtitles?|description|subject|title|summary|answer|question|"
    r"feedback|input|output|query|statement|reason)$"
)
_REPORTED: Final = re.compile(
    r"^(?:exception|error|url|http|user_agent|browser|os|host|device|process|code|k8s|container|cloud|deployment|service|"
    r"telemetry|thread|log|otel|messaging|rpc|network|server|client|faas|db)(?:[._]|$)|stack_?trace|(?:^|[._])status_?"
    r"(?:message|description)$"
)
_LONG: Final = re.compile(r"stack_?trace|^url\.|^db\.(?:statement|query)|^http\.(?:url|target)|^process\.command")
_PLAIN: Final = re.compile(
    r"[\"'(\[\u201c\u2018\u00bf\u00a1]*[^\W\d_]++(?:['\u2019-][^\W\d_]++)*+"
    r"[\"')\]\u201d\u2019]*+[.,!?;:\u2026]*+[\"')\]\u201d\u2019]*+"
)
_LEAST_SHARE: Final = 0.7  # of plain words, in prose
_A_FEW: Final = 2  # words, likewise
_A_SENTENCE: Final = 4
_A_LONG_ONE: Final = 8
_LETTERS: Final = 12  # of a script that this module knows no words of


def is_one_word(text: str) -> bool:
    """Say whether a text is a single word, in no foreign script: such a one is asked about nowhere."""
    return len(text) <= LONGEST and text.isascii() and len(text.split(None, _A_FEW - 1)) < _A_FEW


def looks_written(name: str, text: str, *, is_report: bool = False) -> bool:
    """Say whether a text under a name looks like what somebody said or wrote.

    Args:
        name: Of the attribute, such as "chat.body".
        text: Its value.
        is_report: Whether it is of a program's report, such as a diagnostic log: then its message and body are as well.
    """
    if is_one_word(text):
        return False
    name = name.casefold()
    if len(text) > LONGEST and not _LONG.search(name):
        return True
    if _WRITTEN.search(name):  # programs write a number or a word there at most
        return len(text.split()) >= _A_FEW or _is_foreign(text)
    words = _words(text)
    if words is None:
        return _is_foreign(text)
    if _REPORTED.search(name) or (is_report and _EITHER.search(name)):
        return len(words) >= _A_SENTENCE and not _OWN.isdisjoint(words)
    if _EITHER.search(name):
        return _is_foreign(text) or (len(words) >= _A_SENTENCE and not (_COMMON | _OWN).isdisjoint(words))
    return _is_foreign(text) or (len(words) >= _A_LONG_ONE and not (_COMMON | _OWN).isdisjoint(words))


def _words(text: str) -> list[str] | None:
    """Return the words of a text, folded, less those in capitals (SQL, "EU", "US"); none if most of it is no words."""
    pieces = text.split()
    plain = [piece for piece in pieces if _PLAIN.fullmatch(piece)]
    if not pieces or len(plain) < _LEAST_SHARE * len(pieces):
        return None
    bare = (re.sub(r"[^\w'-]+", "", piece.replace("\u2019", "'")).strip("'-") for piece in plain)
    return [word.casefold() if len(word) == 1 or not word.isupper() else word for word in bare]


def _is_foreign(text: str) -> bool:
    """Say whether a text is long in scripts of whose words nothing is known here, and which may have no blanks."""
    letters = [one for one in text if one.isalpha() and not one.isascii()]
    return sum("LATIN" not in unicodedata.name(one, "LATIN") for one in letters) >= _LETTERS
