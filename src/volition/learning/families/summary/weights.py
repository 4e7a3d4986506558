"""What each cue of a decision or a task weighs, in hundredths: as `python -m bench minutes --only weights` fits it."""

from collections.abc import Mapping
from typing import Final

BIAS: Final = "otherwise"

DECISION: Final[Mapping[str, int]] = {
    BIAS: -661, "about somebody else": 1, "accepted": 63, "addressed": -29, "agreed first": 29, "alone": 70,
    "an amount": 1, "asked": 41, "asked before": -21, "asks on": 38, "chair": 49, "chair amount": 45,
    "chair clean": 59, "chair describes": -22, "chair first": 3, "chair line settles": 59, "chair no verb": 40,
    "chair passive": 68, "chair plain term": 24, "chair recap": 69, "chair settling": 24, "chair so": 49,
    "chair words": 32, "chosen": 17, "clean rule": 44, "clean settling": 50, "clean so we": -2, "clean we": 2,
    "conditional": 33, "declines": -25, "denied": 41, "describes": -21, "discussed": 59, "dropped": 117, "due": -32,
    "filler start": -56, "first": 5, "first person": -29, "goes on": -14, "handed out": -66, "hard to read": -140,
    "hedged": 38, "it is so": 54, "lead": 75, "leads": 61, "line accepts": 34, "line settles": 41, "long": -54,
    "long line": -85, "meeting talk": -18, "named": -15, "names somebody": 54, "no verb": 16, "none of it": 7,
    "order due": -50, "own going": 4, "own offer": -8, "own present": -6, "own promise": 1, "own will": -19,
    "passive": 76, "past": -44, "person about due": -39, "place": 121, "plain": 51, "plain chair": 16,
    "plain rule": 32, "plain start": 13, "plain term": -6, "please": 7, "promise due": -31, "promised": 10,
    "proposed before": 13, "put off": -26, "question": -71, "recap": 110, "refused": -34, "reported": -16,
    "rough": -14, "rough promise": 7, "rough you do": -36, "rule": 32, "settled outright": 10, "settling": 89,
    "short": -65, "short answer": -20, "short order": 18, "so then": 15, "speeches": -104, "stays or goes": 17,
    "stumbles": -11, "taken": 58, "then": -31, "then plain": -57, "told to": -1, "wanted by": -2, "we do": 33,
    "we need somebody": 4, "will due": -23, "words": 62, "you do": -26, "you'll have": -1,
}  # fmt: skip
TASK: Final[Mapping[str, int]] = {
    BIAS: -463, "about somebody else": 5, "accepted": 77, "addressed": 8, "agreed first": 7, "alone": 51,
    "an amount": -22, "asked": -3, "asked before": -38, "asks on": -11, "chair amount": 5, "chair clean": -12,
    "chair describes": 20, "chair first": -4, "chair line settles": 23, "chair no verb": -5, "chair passive": -13,
    "chair plain term": -20, "chair recap": -7, "chair settling": -24, "chair so": -27, "chair words": 24,
    "clean rule": -22, "clean settling": -28, "clean we": -20, "conditional": -27, "declines": -14, "denied": -59,
    "describes": -47, "discussed": 30, "dropped": 51, "due": 248, "filler start": -14, "first": 35,
    "first person": 103, "goes on": -47, "handed out": 182, "hard to read": -138, "hedged": -4, "it is so": -36,
    "lead": 18, "leads": -64, "line accepts": -8, "line settles": -13, "long": -22, "long line": -18,
    "meeting talk": -37, "named": 87, "names somebody": 107, "no verb": -16, "none of it": -8, "order due": 45,
    "own going": 26, "own offer": 53, "own present": 76, "own promise": 108, "own will": 108, "passive": 15,
    "past": -76, "person about due": 34, "place": 104, "plain": -3, "plain chair": 71, "plain rule": -21,
    "plain start": -4, "plain term": -21, "please": 29, "promise due": 50, "promised": 161, "proposed before": -22,
    "put off": -16, "question": -18, "recap": 19, "refused": -29, "reported": -15, "rough": -88,
    "rough promise": 36, "rough you do": 87, "rule": -13, "settled outright": -2, "settling": -40, "short": -54,
    "short answer": -6, "short order": -4, "so then": -5, "speeches": -63, "stays or goes": -31, "stumbles": 68,
    "taken": 72, "then": 41, "then plain": -2, "told to": 69, "wanted by": -5, "we do": -23, "we need somebody": 27,
    "will due": 24, "words": 42, "you do": 70, "you'll have": 47,
}  # fmt: skip
