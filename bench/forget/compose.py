"""What it costs the composer to forget one person, against training again without them.

Everybody writes messages of invented words, drawn as words are in languages (Zipf's law), so that the model holds what
chat of that size would. The bytes after forgetting are compared with those of the model trained again.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from volition.learning.families.compose.family import ComposeFamily
from volition.learning.families.compose.model import read_model
from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.progress import silent
from volition.records.lake import Row

PEOPLE: Final = 100_000
ROWS: Final = 500_000
WORDS: Final = 10_000
WORDS_A_MESSAGE: Final = 8
REPEATS: Final = 3
GOAL: Final = 1 / 20

_REPLIES: Final = ("yes", "no", "thanks", "will do", "sounds good")


def measure(rows: int | None = None) -> dict[str, Any]:
    """Time forgetting one person of one account, and training again.

    Args:
        rows: How many messages there are; by default 500,000, by 100,000 people who use 10,000 words.

    Returns:
        Sizes, seconds (the least of three runs each), and their ratio; `same_bytes` says that both gave the same model.
    """
    messages = make_messages(ROWS if rows is None else rows)
    family = ComposeFamily()
    model = family.fit(messages, parts=NoParts(), progress=silent)
    leaver = messages[len(messages) // 2].people[0]
    # As another snapshot would bring them: equal rows, but not the same objects.
    after = [_copy(row) for row in messages if row.people[0] != leaver]
    forget_s, forgotten = _least(
        lambda: family.forget(model, before=messages, after=after, parts=NoParts(), progress=silent)
    )
    retrain_s, anew = _least(lambda: family.fit(after, parts=NoParts(), progress=silent))
    held = read_model(model).values()
    ratio = forget_s / retrain_s
    return {
        "family": "compose",
        "people": len({row.people[0] for row in messages}),
        "rows": len(messages),
        "rows_forgotten": len(messages) - len(after),
        "words": WORDS,
        "n_grams_held": sum(len(level) for one in held for level in one.table.people),
        "forget_s": round(forget_s, 3),
        "retrain_s": round(retrain_s, 3),
        "ratio": round(ratio, 4),
        "goal": GOAL,
        "met": ratio <= GOAL,
        "same_bytes": forgotten.files() == anew.files(),
    }


def make_messages(number: int) -> list[Row]:
    """Return messages of one account in a few channels, in canonical order, a tenth of them short replies."""
    rng = np.random.default_rng(20260101)
    names = [f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}word" for n in range(WORDS)]
    words = np.minimum(rng.zipf(1.3, size=(number, WORDS_A_MESSAGE)) - 1, WORDS - 1)
    people = rng.integers(0, min(PEOPLE, max(number // 5, 1)), size=number)
    channels = rng.integers(0, 200, size=number)
    is_reply = rng.random(number) < 0.1
    replies = rng.integers(0, len(_REPLIES), size=number)
    rows = []
    for place in range(number):
        text = _REPLIES[replies[place]] if is_reply[place] else " ".join(names[word] for word in words[place])
        rows.append(_message(place, f"{people[place]:032x}", f"channel-{channels[place]}", text))
    return rows


def _message(place: int, person: str, channel: str, text: str) -> Row:
    return Row(
        record_id=f"{place:032x}",
        account="bench",
        people=(person,),
        category="content/chat",
        collected_us=place * 1_000_000,
        payload={"kind": "message", "channel": channel, "ts": f"{place}.0", "thread": None, "author": "", "text": text},
    )


def _copy(row: Row) -> Row:
    return _message(row.collected_us // 1_000_000, str(row.people[0]), row.payload["channel"], row.payload["text"])


def _least(work: Callable[[], Model]) -> tuple[float, Model]:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
    return min(times), result
