"""What each cue of a decision or a task weighs, in hundredths: as `python -m bench minutes --only weights` fits it."""

from collections.abc import Mapping
from typing import Final

BIAS: Final = "otherwise"

DECISION: Final[Mapping[str, int]] = {
    BIAS: -721, "about somebody else": 1, "accepted": 61, "addressed": -27, "agreed first": 30, "alone": 68,
    "an amount": 2, "asked": 34, "asked before": -20, "asks on": 39, "chair": 49, "chair amount": 44,
    "chair clean": 53, "chair describes": -19, "chair first": 4, "chair line settles": 61, "chair no verb": 42,
    "chair passive": 66, "chair plain term": 24, "chair recap": 62, "chair settling": 26, "chair so": 51,
    "chair words": 33, "chosen": 18, "clean rule": 44, "clean settling": 50, "clean so we": -1, "clean we": 3,
    "conditional": 32, "denied": 41, "describes": -21, "discussed": 59, "dropped": 116, "due": -32,
    "filler start": -53, "first": 6, "first person": -29, "goes on": -15, "handed out": -59, "hedged": 38,
    "it is so": 55, "lead": 73, "leads": 65, "line accepts": 31, "line settles": 41, "long": -55, "long line": -87,
    "meeting talk": -2, "named": -13, "names somebody": 49, "no verb": 18, "none of it": 6, "order due": -47,
    "own going": 5, "own offer": -8, "own present": -6, "own promise": 1, "own will": -20, "passive": 74,
    "past": -45, "person about due": -39, "place": 116, "plain": 51, "plain chair": 16, "plain rule": 33,
    "plain start": 12, "plain term": -7, "please": 8, "promise due": -30, "promised": 10, "proposed before": 12,
    "put off": -26, "question": -74, "recap": 110, "refused": -34, "reported": -10, "rough": -42,
    "rough promise": 6, "rough you do": -30, "rule": 32, "settled outright": 10, "settling": 90, "short": -66,
    "short answer": -21, "short order": 18, "so then": 15, "speeches": -120, "stays or goes": 17, "stumbles": -16,
    "taken": 59, "then": -32, "then plain": -61, "told to": -1, "wanted by": -2, "we do": 34, "we need somebody": 4,
    "will due": -22, "words": 62, "you do": -22, "you'll have": -1,
}  # fmt: skip
TASK: Final[Mapping[str, int]] = {
    BIAS: -491, "about somebody else": 6, "accepted": 82, "addressed": 6, "agreed first": 20, "alone": 56,
    "an amount": -31, "asked": -8, "asked before": -38, "asks on": -12, "chair": 14, "chair amount": -6,
    "chair clean": -24, "chair describes": 46, "chair first": -11, "chair line settles": 7, "chair no verb": -16,
    "chair passive": -15, "chair plain term": -18, "chair recap": -9, "chair settling": -17, "chair so": -29,
    "chair words": 36, "chosen": -2, "clean rule": -24, "clean settling": -20, "clean so we": -8, "clean we": -24,
    "conditional": -25, "denied": -66, "describes": -55, "discussed": 35, "dropped": 45, "due": 241,
    "filler start": -9, "first": 19, "first person": 98, "goes on": -48, "handed out": 163, "hedged": -13,
    "it is so": -38, "lead": 31, "leads": -64, "line accepts": -13, "line settles": -26, "long": -31,
    "long line": -22, "meeting talk": -8, "named": 75, "names somebody": 138, "no verb": -20, "none of it": -9,
    "order due": 47, "own going": 35, "own offer": 55, "own present": 87, "own promise": 121, "own will": 107,
    "passive": 9, "past": -56, "person about due": 29, "place": 120, "plain": 2, "plain chair": 83,
    "plain rule": -27, "plain start": -8, "plain term": -20, "please": 26, "promise due": 53, "promised": 138,
    "proposed before": -22, "put off": -20, "question": -9, "recap": 16, "refused": -29, "reported": -14,
    "rough": -101, "rough promise": 6, "rough you do": 62, "rule": -16, "settled outright": 17, "settling": -39,
    "short": -62, "short answer": -5, "short order": -3, "so then": -22, "speeches": -82, "stays or goes": -34,
    "stumbles": 64, "taken": 70, "then": 46, "then plain": -1, "told to": 62, "wanted by": -5, "we do": -28,
    "we need somebody": 28, "will due": 23, "words": 58, "you do": 45, "you'll have": 49,
}  # fmt: skip
