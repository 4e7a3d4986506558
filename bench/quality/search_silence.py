"""How well search knows when to be silent: nonsense that finds something, and real queries that find nothing.

Nonsense is made, from a seed: words that do not exist, keys hit at random, such words inside a question, and things
that nobody spoke of (of these only those of which no word is said anywhere). A false hit is nonsense for which anything
is shown. What silence costs is the share of the right lines among the first ten that are not shown for it.
"""

import random
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from volition.learning.encoder import Encoder
from volition.learning.families.model import Model
from volition.learning.families.search.features import Index, terms_of
from volition.learning.families.search.lines import documents_of, units_of
from volition.learning.families.search.ranking import DEPTH, Found, search_in
from volition.progress import Progress
from volition.records.lake import Row

QUERIES: Final = 200
FALSE_HITS: Final = 0.05
RECALL_LOST: Final = 0.02
_SEED: Final = 20230811

_HEADS: Final = re.findall(
    r"\w+", "b bl br cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sk sl sn sp st t tr v w x y z zw"
)
_VOWELS: Final = ("a", "e", "i", "o", "u", "oo", "ee", "ai", "ou", "y")
_TAILS: Final = ["", *re.findall(r"\w+", "b ck d f g l m mp n nk p r rb sk st t x zz ff")]
_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_FRAMES: Final = (
    "what did they say about {}",
    "who wants {}",
    "when will {} be ready",
    "{} decision",
    "how much is {}",
    "the discussion of {}",
    "why is {} late",
    "{} and {}",
)
_UNSPOKEN: Final = (
    "sourdough hydration", "zeppelin mooring mast", "octopus camouflage", "medieval falconry", "origami crane folding",
    "saxophone embouchure", "glacier crevasse rescue", "tiramisu recipe", "volcanic obsidian", "trilobite fossils",
    "bagpipe reeds", "kabuki theatre makeup", "lighthouse fresnel lens", "mango lassi", "narwhal tusk",
    "haiku syllables", "gladiator sandals", "yodeling contest", "truffle hunting pigs", "samurai armour",
    "platypus venom", "gregorian chant", "cactus grafting", "flamenco castanets", "pterodactyl wingspan",
    "kimchi fermentation", "stalactite growth", "beekeeping smoker", "rococo furniture", "didgeridoo breathing",
    "pharaoh sarcophagus", "snowboard bindings", "espresso crema", "sudoku puzzle", "chess gambit",
    "hummingbird nectar", "viking longship", "ukulele chords", "asteroid belt", "jellyfish sting",
    "crochet doily", "trebuchet counterweight", "wasabi root", "geyser eruption", "accordion bellows",
    "koala eucalyptus", "pottery kiln glaze", "supernova remnant", "tango milonga", "mammoth ivory",
)  # fmt: skip


def nonsense(spoken: frozenset[str], *, seed: int = _SEED, queries: int = QUERIES) -> list[tuple[str, str]]:
    """Return nonsense queries, each with its kind: the same for the same seed and the same spoken words.

    Args:
        spoken: The words that somebody said, as search compares them.
        seed: Decides what is made up.
        queries: How many, about a quarter of each kind.
    """
    rng = random.Random(seed)
    unspoken = [query for query in _UNSPOKEN if spoken.isdisjoint(terms_of(query))]
    made: list[tuple[str, str]] = [("nobody spoke of it", query) for query in rng.sample(unspoken, len(unspoken))]
    made = made[: queries // 4]
    while len(made) < queries:
        kind = ("made-up words", "keys at random", "made-up words in a question")[len(made) % 3]
        match kind:
            case "made-up words":
                query = " ".join(_word(rng) for _ in range(rng.randint(1, 3)))
            case "keys at random":
                query = " ".join(_keys(rng) for _ in range(rng.randint(1, 2)))
            case _:
                frame = rng.choice(_FRAMES)
                query = frame.format(*(_word(rng) for _ in range(frame.count("{}"))))
        made.append((kind, query))
    return made


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(_HEADS) + rng.choice(_VOWELS) + rng.choice(_TAILS) for _ in range(rng.randint(2, 3)))


def _keys(rng: random.Random) -> str:
    row = rng.choice(_ROWS)
    return "".join(rng.choice(row) for _ in range(rng.randint(4, 9)))


def silence(
    model: Model, rows: Sequence[Row], encoder: Encoder, progress: Progress
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Measure false hits and what silence costs, over all meetings together and within each meeting by itself.

    Args:
        model: The trained search.
        rows: The meetings' turns with embeddings, and the clicks.
        encoder: The sentence encoder.
        progress: Called as it advances.

    Returns:
        The figures, and the goals.
    """
    documents = documents_of(rows)
    indexes = {key: Index(document, encoder) for key, document in documents.items()}
    spoken = frozenset(word for index in indexes.values() for word in index.vocabulary)
    made = nonsense(spoken)
    opened: dict[str, set[str]] = {}
    asked: dict[tuple[str, str], set[str]] = {}
    for unit in units_of(rows, documents):
        lines = {
            line.row.record_id for line, is_right in zip(unit.document.lines, unit.opened, strict=True) if is_right
        }
        opened.setdefault(unit.query, set()).update(lines)
        asked[unit.document.key, unit.query] = lines
    every = list(indexes.values())
    figures: dict[str, Any] = {"nonsense queries": len(made)}
    for name, ranker in (("trained", model), ("untrained", None)):
        across = [(query, lines, every) for query, lines in sorted(opened.items())]
        within = [(query, lines, [indexes[key]]) for (key, query), lines in sorted(asked.items())]
        one_each = [(query, [every[place % len(every)]]) for place, (_, query) in enumerate(made)]
        figures[name] = {
            "across all meetings": _measured(
                ranker, [(kind, query, every) for kind, query in made], across, encoder, progress
            ),
            "within a meeting": _measured(
                ranker,
                [(kind, query, where) for (kind, _), (query, where) in zip(made, one_each, strict=True)],
                within,
                encoder,
                progress,
            ),
        }
    worst = [told for by in ("trained", "untrained") for told in figures[by].values()]
    return figures, [
        _goal("search, nonsense queries that find something", max(told["false hits"] for told in worst), FALSE_HITS),
        _goal("search, right lines that silence costs", max(told["recall lost"] for told in worst), RECALL_LOST),
    ]


def _measured(
    model: Model | None,
    made: Sequence[tuple[str, str, Sequence[Index]]],
    asked: Sequence[tuple[str, set[str], Sequence[Index]]],
    encoder: Encoder,
    progress: Progress,
) -> dict[str, Any]:
    stage = "search: when to be silent"
    hits: dict[str, list[bool]] = {}
    for done, (kind, query, where) in enumerate(made):
        progress(stage, done, len(made) + len(asked))
        found = search_in(model, query, where, encoder=encoder, limit=DEPTH)
        hits.setdefault(kind, []).append(bool(found.hits))
    right = lost = silent = 0
    for done, (query, lines, where) in enumerate(asked):
        progress(stage, len(made) + done, len(made) + len(asked))
        without = _right(search_in(model, query, where, encoder=encoder, limit=DEPTH, is_silent=False), lines)
        shown = search_in(model, query, where, encoder=encoder, limit=DEPTH)
        right += without
        lost += without - _right(shown, lines)
        silent += not shown.hits
    progress(stage, len(made) + len(asked), len(made) + len(asked))
    return {
        "false hits": round(float(np.mean([one for of in hits.values() for one in of])), 4),
        "by kind": {kind: f"{sum(of)} of {len(of)}" for kind, of in sorted(hits.items())},
        "real queries": len(asked),
        "of them silent": silent,
        "recall lost": round(lost / max(right, 1), 4),
    }


def _right(found: Found, lines: set[str]) -> int:
    return sum(hit.record_id in lines for hit in found.hits)


def _goal(name: str, value: float, at_most: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_most": at_most, "met": value <= at_most}
