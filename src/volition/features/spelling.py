"""Spelling: words that are surely mistyped, mended from a packaged dictionary, in English and German.

What it guarantees:

- Only words all in small letters are looked at, so a name stays as it is; and none that touches a digit, a hyphen or
  another sign.
- A word is mended only where no dictionary knows it and one common word is a slip of the finger away: two letters
  swapped, one too many, one too few, or a wrong one, the last three not in short words nor at the beginning. Where two
  words could be meant, nothing is changed. What enough colleagues write (`is_word`) is a word.
- The language is that of most words around. German is looked at as German, and English words in it stay.

The dictionaries are those of the package pyspellchecker (the extra `spelling`); without it nothing is mended.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spellchecker import SpellChecker

_WORD: Final = re.compile(r"(?<![\w'\u2019.\ue000-])[^\W\d_]+(?![\w'\u2019\ue000-])")
_SHORTEST: Final = 3  # letters of a word that is looked at
_SHORT: Final = 4  # up to so many letters, only swapped ones are a slip: too many short words are close to one another
_COMMON: Final = 2e-6  # of all words: what a mistyped word is mended to is at least so frequent ...
_COMMONEST: Final = 1e-3  # ... and what a short one is
_JARGON: Final = frozenset(
    re.findall(
        r"\w+",
        "admin app async auth aws config dev devs edn env globals impl impls intro json paren param params pre prod "
        "redef refactor regex repo repos stdin stdout sync url urls",
    )
)
"""What people write who make software, and the dictionaries lack."""
_SURER: Final = 20.0  # so many times as frequent as the next word that it could be ...
_SURER_SWAPPED: Final = 8.0  # ... and as the next one with two letters swapped, which is the commonest slip
_MOST: Final = 200  # distinct words of a message that are mended, since each takes a moment


def _nothing(word: str) -> bool:  # noqa: ARG001 - the form of `is_word`
    return False


class Spelling:
    """The dictionaries, loaded."""

    def __init__(self, dictionaries: dict[str, "SpellChecker"]) -> None:
        """Take a dictionary for each language; `spelling` loads them."""
        self._dictionaries = dictionaries

    def mend(self, text: str, *, is_word: Callable[[str], bool] = _nothing) -> str:
        """Return a text with its mistyped words mended.

        Args:
            text: What somebody typed.
            is_word: Says of a word that no dictionary knows whether it is one all the same, such as a word of the
                house.
        """
        words = _WORD.findall(text)
        language = self._language(words)
        odd = [word for word in dict.fromkeys(words) if self._is_odd(word) and not is_word(word)][:_MOST]
        mended = {word: better for word in odd if (better := self._meant(word, language)) is not None}
        if language == "en":
            mended["i"] = "I"
        return _WORD.sub(lambda found: mended.get(found.group(), found.group()), text)

    def _language(self, words: list[str]) -> str:
        """Return the language that knows most of the words; the first one where several do."""
        low = [word.lower() for word in words]
        known = {name: sum(word in each for word in low) for name, each in self._dictionaries.items()}
        return max(known, key=lambda name: known[name])

    def _is_odd(self, word: str) -> bool:
        if not word.islower() or len(word) < _SHORTEST or word in _JARGON:
            return False
        spellings = {word, word.replace("our", "or"), word.replace("is", "iz"), word.replace("ys", "yz")}  # British
        return not any(one in each for each in self._dictionaries.values() for one in spellings)

    def _meant(self, word: str, language: str) -> str | None:
        """Return the one word that was surely meant; none where that is not sure."""
        dictionary = self._dictionaries[language]
        slips = [*_swapped(word), *_with_apostrophe(word)]
        least = _COMMONEST if len(word) <= _SHORT else _COMMON
        meant = _surest(dictionary, slips, least=least, surer=_SURER_SWAPPED)
        if meant is None and len(word) > _SHORT:
            # hardly anybody mistypes the first letter of a word, and "async" is not "sync"
            others = [slip for slip in dictionary.edit_distance_1(word) if slip[:1] == word[0]]
            meant = _surest(dictionary, [*slips, *others], least=_COMMON, surer=_SURER)
        return meant


def _surest(dictionary: "SpellChecker", words: Iterable[str], *, least: float, surer: float) -> str | None:
    """Return the word that is by far the most frequent of some, if it is frequent enough; none if several may be."""
    total = dictionary.word_frequency.total_words
    ranked = sorted(((dictionary[one] / total, one) for one in dictionary.known(words)), reverse=True)
    if not ranked or (len(ranked) > 1 and ranked[0][0] < surer * ranked[1][0]):
        return None
    often, word = ranked[0]
    return word if often >= (_COMMON if "'" in word else least) else None


@lru_cache(maxsize=1)
def spelling() -> Spelling | None:
    """Load the dictionaries once, which takes about a second; none where the package is not installed."""
    if find_spec("spellchecker") is None:
        return None
    from spellchecker import SpellChecker  # noqa: PLC0415 - of the extra `spelling`: loaded where a message is mended

    return Spelling({language: SpellChecker(language=language, distance=1) for language in ("en", "de")})


def _swapped(word: str) -> set[str]:
    """Return the word with two neighbouring letters swapped, in every place."""
    return {word[:place] + word[place + 1] + word[place] + word[place + 2 :] for place in range(len(word) - 1)}


def _with_apostrophe(word: str) -> list[str]:
    """Return a contraction that lost its apostrophe: "dont" was "don't"."""
    return [f"{word[:-1]}'{word[-1]}"] if len(word) > _SHORTEST and word.endswith("nt") else []
