"""How a quote is shown: without stumbles, and with what stood before it where it would hang in the air.

Nothing is added or changed but the first letter, and nothing is taken out but fillers, words said twice in a row and
letters begun twice; what was said is kept beside it, word for word.
"""

import re
from collections.abc import Sequence
from typing import Final

from volition.learning.families.summary.sentences import Before, cut_sentences
from volition.records.lake import Row

_FILLER: Final = re.compile(
    r"(?:^|(?<=[\s(]))(?:u+h+|u+m+|uhm|er|erm|mm+|hm+|mm-hmm|uh-huh|ä+h+m*|ö+h+m*)\b(?:,|\.{3}|[.](?=\s*$))?(?:\s+|$)",
    re.IGNORECASE,
)
_TWICE: Final = re.compile(
    r"\b(?!(?:that|had|very|really|no|yes|so|bye|ha|die|das|sie|sehr)\b)([^\W\d_]{1,20})(?:,? \1\b)++", re.IGNORECASE
)
_BEGUN: Final = re.compile(r"\b([b-hj-np-zB-HJ-NP-Z]) (?=\1)")
_SPELT: Final = re.compile(r"\b(?:[A-Z]_)+(?:[A-Z]\b)?")
_HANGS: Final = re.compile(
    r"(?:and|but|so|or|yes|yeah|yep|no|nope|it|it's|its|that|that's|this|these|those|they|they're|he|she|his|her|them|"
    r"then|because|which|okay|ok|right|exactly|agreed|done|fine|good|sure|both|neither|same|also|"
    r"und|aber|also|oder|ja|nein|es|das|dies|diese[rs]?|dann|weil|deshalb|deswegen|genau|gut|beide|er|sie|ihn|den)\b",
    re.IGNORECASE,
)
_BACK: Final = 5  # lines, the quote's own among them
_SAYS_SOMETHING: Final = 4  # words: "Good." is passed over
_FEW: Final = 5  # words: so short a sentence says little alone


def shown(quote: str) -> str:
    """Return a quote without its stumbles; as it is, if nothing but stumbles is in it."""
    text = _SPELT.sub(lambda found: found.group().replace("_", ""), quote)
    text = _BEGUN.sub("", _TWICE.sub(r"\1", _FILLER.sub("", text)))
    text = " ".join(_TWICE.sub(r"\1", text).split()).lstrip(",;. ").rstrip(",; ")
    if not any(character.isalpha() for character in text):
        return quote
    return text[0].upper() + text[1:]


def hangs(quote: str) -> bool:
    """Return whether a quote needs what was said before it: it answers, goes on, or points back."""
    text = shown(quote)
    return len(text.split()) < _FEW or _HANGS.match(text) is not None


def before_of(segments: Sequence[Row], number: int, start: int) -> Before | None:
    """Return the last sentence that says something before the character `start` of one segment, in it or before it.

    Args:
        segments: In the order in which they were said; only such as may be shown.
        number: Which of them.
        start: Where the quote begins in its text.

    Returns:
        It; none where there is none near, or not all that was said in between may be shown.
    """
    for place in range(number, max(-1, number - _BACK), -1):
        payload = segments[place].payload
        if place < number and payload["turn"] + 1 != segments[place + 1].payload["turn"]:
            return None  # a line is missing: what is there is not what was answered
        said = payload["text"][:start] if place == number else payload["text"]
        for first, last in reversed(cut_sentences(said)):
            if len(said[first:last].split()) >= _SAYS_SOMETHING:
                return Before(quote=said[first:last], speaker=payload["speaker"], record_id=segments[place].record_id)
    return None
