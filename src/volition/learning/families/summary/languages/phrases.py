"""What minutes need to know of a language: how it settles, hands out, refuses and asks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


def any_of(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in which upper and lower case are one."""
    return re.compile(pattern, re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The phrases of one language.

    Attributes:
        code: Its ISO 639-1 code.
        name: Its English name.
        common: Words by which a text in it is known.
        cues: Patterns by the name of what they tell; every language has the same names, so that one set of weights
            serves all.
        accepts: What an answer begins with that accepts.
        refuses: What an answer begins with that refuses.
        takes: What is in an answer that takes a task.
        open: What calls a question open.
        asks: What a question begins with.
        no_answer: What is in a reply of somebody who does not know.
        after_name: After the name of somebody who is given a task; the group `outright` where it can mean nothing else.
        before_name: Before the name of somebody who is given a task.
        preamble: What stands before the task itself in a sentence that hands one out or takes one.
        after_who: What stands between a name and the task.
    """

    code: str
    name: str
    common: frozenset[str]
    cues: Mapping[str, re.Pattern[str]]
    accepts: re.Pattern[str]
    refuses: re.Pattern[str]
    takes: re.Pattern[str]
    open: re.Pattern[str]
    asks: re.Pattern[str]
    no_answer: re.Pattern[str]
    after_name: re.Pattern[str]
    before_name: re.Pattern[str]
    preamble: re.Pattern[str]
    after_who: re.Pattern[str]
