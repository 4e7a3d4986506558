"""What each cue of a decision or a task weighs, in hundredths: as `python -m bench minutes --only weights` fits it."""

from collections.abc import Mapping
from typing import Final

BIAS: Final = "otherwise"

DECISION: Final[Mapping[str, int]] = {
    BIAS: -663, "about somebody else": 1, "accepted": 63, "addressed": -29, "agreed first": 32, "alone": 68,
    "an amount": 2, "asked": 41, "asked before": -20, "asks on": 38, "chair": 49, "chair amount": 45,
    "chair clean": 56, "chair describes": -20, "chair first": 2, "chair line settles": 59, "chair no verb": 41,
    "chair passive": 68, "chair plain term": 24, "chair recap": 71, "chair settling": 21, "chair so": 50,
    "chair words": 33, "chosen": 19, "clean rule": 47, "clean settling": 47, "clean so we": -1, "clean we": 4,
    "conditional": 33, "declines": -25, "denied": 42, "describes": -21, "discussed": 61, "dropped": 118, "due": -31,
    "filler start": -54, "first": 6, "first person": -27, "goes on": -14, "handed out": -65, "hard to read": -139,
    "hedged": 38, "it is so": 55, "lead": 78, "leads": 60, "line accepts": 33, "line settles": 40, "long": -54,
    "long line": -85, "meeting talk": -18, "named": -15, "names somebody": 55, "no verb": 17, "none of it": 8,
    "order due": -51, "own going": -12, "own offer": -8, "own present": -3, "own promise": 3, "own will": -13,
    "passive": 76, "past": -44, "person about due": -40, "place": 120, "plain": 51, "plain chair": 18,
    "plain rule": 32, "plain start": 13, "plain term": -7, "please": 8, "promise due": -28, "promised": -6,
    "proposed before": 8, "put off": -25, "question": -70, "recap": 111, "refused": -34, "reported": -16,
    "rough": -13, "rough promise": 9, "rough you do": -36, "rule": 34, "settled outright": 11, "settling": 85,
    "short": -67, "short answer": -19, "short order": -5, "so then": 17, "speeches": -103, "stays or goes": 19,
    "stumbles": -11, "taken": 60, "then": -31, "then plain": -57, "wanted by": -2, "we do": 35,
    "we need somebody": 4, "will due": -30, "words": 62, "you do": -26, "you'll have": -1,
}  # fmt: skip
TASK: Final[Mapping[str, int]] = {
    BIAS: -484, "about somebody else": -1, "accepted": 74, "addressed": 5, "agreed first": 22, "alone": 48,
    "an amount": -29, "asked": -9, "asked before": -37, "asks on": -12, "chair": 8, "chair amount": -9,
    "chair describes": 26, "chair first": -10, "chair line settles": 6, "chair no verb": -17, "chair passive": -15,
    "chair plain term": -16, "chair recap": -8, "chair settling": -13, "chair so": -22, "chair words": 28,
    "chosen": -2, "clean rule": -25, "clean settling": -19, "clean so we": -7, "clean we": -23, "conditional": -29,
    "declines": -15, "denied": -64, "describes": -45, "discussed": 34, "dropped": 55, "due": 244,
    "filler start": -14, "first": 26, "first person": 101, "goes on": -40, "handed out": 179, "hard to read": -142,
    "hedged": -3, "it is so": -32, "lead": 24, "leads": -61, "line accepts": -13, "line settles": -28, "long": -25,
    "long line": -17, "meeting talk": -36, "named": 78, "names somebody": 117, "no verb": -19, "none of it": -9,
    "order due": 43, "own going": 52, "own offer": 58, "own present": 76, "own promise": 95, "own will": 129,
    "passive": 13, "past": -61, "person about due": 31, "place": 106, "plain": -5, "plain chair": 63,
    "plain rule": -24, "plain start": -9, "plain term": -15, "please": 46, "promise due": 42, "promised": 168,
    "proposed before": -10, "put off": -17, "question": -19, "recap": 22, "refused": -30, "reported": -15,
    "rough": -89, "rough promise": 29, "rough you do": 88, "rule": -17, "settled outright": 17, "settling": -32,
    "short": -53, "short answer": -2, "short order": -4, "so then": -11, "speeches": -66, "stays or goes": -32,
    "stumbles": 65, "taken": 71, "then": 34, "then plain": -4, "told to": 56, "wanted by": -6, "we do": -27,
    "we need somebody": 28, "will due": 48, "words": 48, "you do": 67, "you'll have": 47,
}  # fmt: skip
