"""Summary: the moments of a meeting that its people would have written down, as quotes.

A summary made of quotes cannot invent anything: each moment is a verbatim piece of one segment and points at its
speaker and its place. What is learnt is which sentences to quote, from meetings whose summaries people edited: a
ridge regression from a sentence's place, length, words and embedding to how much of it the edited summary uses.

The regression is kept as its sums of products, in integers. Each meeting adds its own sums, so the order of meetings
does not matter and forgetting a meeting is subtracting: what remains has the bytes of a model that never saw it.
The weights are solved when a model is opened. No word of any meeting is stored.

Sources: fixed-point sufficient statistics as in exact unlearning by summation, Cao and Yang 2015,
doi:10.1109/SP.2015.35; redundancy by maximal marginal relevance, Carbonell and Goldstein 1998,
doi:10.1145/290941.291025; ROUGE, Lin 2004, https://aclanthology.org/W04-1013.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.families import Array, Model, Parts, Progress, Scores, canonical_order, fold_of, part_name
from volition.lake import Row

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Fixed point: a feature x is the integer round(x * 4096). Features and labels stay below 2^15, products of two below
# 2^30, and their sums over a meeting below 2^53: made in float64, they are exact in whatever order a BLAS adds.
_ONE: Final = 4096
_BOUND: Final = 2.0  # features are scaled to about -1..1 by constants and cut at these bounds

_MIN_WORDS: Final = 10  # a shorter sentence is no moment, unless the meeting has no longer one
_MAX_WORDS: Final = 60  # a longer one is cut, at its commas where it has some
_CUT_WORDS: Final = 40
_LEARN_WORDS: Final = 4  # shorter sentences teach nothing
_A_PART: Final = 20  # meetings that are kept together: a few seconds' work
_SLACK: Final = 1.1  # of the length asked for
_DECIMALS: Final = 6  # scores are compared after rounding, so that the last bits of a solver never decide

# Chosen by cross-validation over meetings.
_RIDGE: Final = 0.1
_RIDGE_UNITS: Final = 10_000.0  # with fewer sentences to learn from, more ridge
_REDUNDANCY: Final = 1.0

_SAME: Final = 0.8  # two sentences so alike (cosine) are never both quoted

_HAND, _FULL = "hand", "full"

_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+(?=\s)|$)", re.DOTALL)
_WORDS = re.compile(r"\S+")
_TOKEN = re.compile(r"[^\W_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# English. In another language these features are silent and the others carry the score.
COMMON = _words(
    "a about after again all also am an and any are as at be because been before being but by can could did do does "
    "doing don down for from get go going got had has have he her here him his how i if in into is it its just kind "
    "know like ll lot m maybe me mean more my no not now of oh ok okay on one or our out re really right s said say "
    "she should so some sort t that the their them then there these they thing things think this those to too uh um "
    "up us ve very was we well were what when where which who why will with would yeah yes you your"
)
_CUES = _words(
    "decide decided decision agree agreed should will need must plan next action meeting today propose suggest "
    "conclusion important summary project problem issue idea result discuss"
)
_FIRST_PERSON = _words("i you me my your we our us")
_LINKS = _words("the of to in for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A quote.

    Attributes:
        quote: Verbatim, contiguous text of one segment.
        speaker: Who said it, as the transcript names them.
        turn: Which turn of the meeting it is from.
        start_ms: When that turn begins, in milliseconds from the start of the meeting.
        record_id: The record it is from.
    """

    quote: str
    speaker: str
    turn: int
    start_ms: int
    record_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A meeting in quotes.

    Attributes:
        moments: In the order of the meeting.
        note: What the reader should know of how they were chosen; none when a trained model had all it needs.
    """

    moments: tuple[Moment, ...]
    note: str | None


class SummaryFamily:
    """The summary family (see `volition.families.Family`)."""

    name = "summary"
    purpose = "train/summary"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn from every meeting that has both segments and an edited summary.

        Args:
            rows: Permitted rows; segments with embeddings teach more than segments without.
            parts: Keeps the sums of every few meetings: a thousand of them take a minute or two.
            progress: Told how many meetings are read.

        Returns:
            The model: sums of products of features, in integers.

        Raises:
            InvalidInputError: No meeting has both.
        """
        meetings = list(_learnable(rows).values())
        sums = _Sums.zero()
        for done in range(0, len(meetings), _A_PART):
            progress("reading meetings", done, len(meetings))
            sums = sums.plus(_Sums.of_several(meetings[done : done + _A_PART], parts))
        progress("reading meetings", len(meetings), len(meetings))
        return sums.model()

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Subtract what the meetings that changed had added, and add what is left of them.

        Args:
            model: Fitted on `before`.
            before: The rows of the snapshot that the model was trained from. If some cannot be read any more (the key
                of an erased account is gone), the model is fitted on `after` anew.
            after: The rows that may still be used.
            parts: Handed to `fit`.
            progress: Told of each meeting that changed.

        Returns:
            The model that `fit(after)` gives, in the same bytes.

        Raises:
            InvalidInputError: No meeting with an edited summary is left.
        """
        was, now = _learnable(before), _learnable(after)
        sums = _Sums.from_model(model)
        if sums.fingerprint != sum(meeting.fingerprint() for meeting in was.values()) % _Sums.MODULUS:
            return self.fit(after, parts=parts, progress=progress)
        prints = {key: meeting.fingerprint() for key, meeting in now.items()}
        changed = [
            key
            for key in sorted(was.keys() | now.keys())
            if key not in was or key not in now or was[key].fingerprint() != prints[key]
        ]
        for done, key in enumerate(changed, start=1):
            if key in was:
                sums = sums.plus(_Sums.of(was[key]), sign=-1)
            if key in now:
                sums = sums.plus(_Sums.of(now[key]))
            progress("subtracting meetings", done, len(changed))
        return sums.model()

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Hold out whole meetings, by a hash of account and name.

        Args:
            rows: Rows of the snapshot.
            fold: Which meetings, from 0.
            folds: How many groups they are dealt into.

        Returns:
            Rows to learn from, and held-out rows; both in the order given.
        """
        known: list[Row] = []
        held_out: list[Row] = []
        for row in rows:
            unit = f"{row.account}/{row.payload.get('meeting')}"
            (held_out if fold_of(unit, folds) == fold else known).append(row)
        return known, held_out

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Measure ROUGE-1 F1 (`rouge_1`) of a 110-word summary against the edited one, per meeting.

        Args:
            model: Fitted on `rows_known`; none means the untrained form (see `summarize`).
            rows_known: Unused: a meeting is summarised from its own rows.
            rows_heldout: Meetings with edited summaries.

        Returns:
            One value per meeting, from 0 to 1.
        """
        del rows_known
        ranker = None if model is None else _Ranker(model)
        meetings = list(_meetings(rows_heldout, learnable=True).values())
        values = np.zeros(len(meetings))
        for number, meeting in enumerate(meetings):
            moments = _summarize(ranker, meeting.segments, words=110).moments
            values[number] = rouge_1(" ".join(moment.quote for moment in moments), meeting.reference)
        return Scores(
            metric="ROUGE-1",
            units=tuple(meeting.name for meeting in meetings),
            accounts=tuple(meeting.account for meeting in meetings),
            values=values,
            people=tuple(
                tuple(sorted({person for row in meeting.segments for person in row.people})) for meeting in meetings
            ),
        )

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return, for each person, how well the model foretells which of their sentences the edited summaries use.

        That is the mean square, negated, of the regression's errors on the sentences that the person said, each beside
        the mean of its meeting.
        """
        ranker = _Ranker(model)
        errors: dict[str, list[float]] = {}
        for meeting in _learnable(rows).values():
            read = _read(meeting.segments)
            error = ranker.rank(read)[0] - _label(read, meeting.reference) / _ONE
            learnt = np.flatnonzero(read.words >= _LEARN_WORDS)
            for number in learnt:
                people = meeting.segments[read.sentences[number].segment].people
                if people:
                    errors.setdefault(people[0], []).append(float(error[number] - error[learnt].mean()) ** 2)
        return {person: -sum(squares) / len(squares) for person, squares in errors.items()}


def summarize(model: Model | None, rows: Sequence[Row], *, words: int = 110) -> Summary:
    """Summarise one meeting in quotes.

    Args:
        model: A released model. Without one, the moments nearest to the middle of what was said (the centroid of the
            embeddings), or the longest sentences where there are no embeddings.
        rows: The meeting's rows that the gate let through; all but segments are passed over.
        words: About how many words the quotes may have together: at most a tenth more.

    Returns:
        The summary. Without embeddings the note says that it used words and places alone.

    Raises:
        InvalidInputError: The rows are from several meetings, or `words` is not positive.
    """
    if words < 1:
        raise InvalidInputError(f"cannot summarise in {words} words; ask for at least 1")
    segments = [row for row in rows if row.payload.get("kind") == "segment"]
    meetings = sorted({(row.account, row.payload["meeting"]) for row in segments})
    if len(meetings) > 1:
        raise InvalidInputError(f"one summary is of one meeting, but the rows are from {len(meetings)}: {meetings[:3]}")
    return _summarize(None if model is None else _Ranker(model), in_turn(segments), words=words)


def rouge_1(candidate: str, reference: str) -> float:
    """Measure ROUGE-1 F1: how far two texts share their words, with repetitions, from 0 to 1.

    Without stemming. On ASCII text it equals the `rouge-score` package's (a test compares them), which would bring
    2,000 modules and three seconds of imports with it.

    Source: Lin 2004, https://aclanthology.org/W04-1013, section 2.
    """
    ours, theirs = Counter(_tokens(candidate)), Counter(_tokens(reference))
    shared = sum((ours & theirs).values())
    return 2 * shared / max(1, ours.total() + theirs.total())


# --- a meeting, cut into sentences ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meeting:
    """Segments in the order of their turns, and the edited summary."""

    account: str
    name: str
    segments: tuple[Row, ...]
    reference: str

    def fingerprint(self) -> int:
        """Return 64 bits that say what of this meeting is learnt from."""
        whole = sha256(json.dumps([self.account, self.name, self.reference]).encode())
        for row in self.segments:
            whole.update(json.dumps([row.record_id, row.payload], sort_keys=True).encode())
            whole.update(b"" if row.embedding is None else row.embedding.tobytes())
        return int.from_bytes(whole.digest()[:8])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    """Characters `start` (included) to `end` (not included) of a segment's text; the `place`-th of `of` in it."""

    segment: int
    start: int
    end: int
    words: int
    place: int
    of: int


def in_turn(segments: Iterable[Row]) -> tuple[Row, ...]:
    """Return segments in the order in which they were said."""
    return tuple(sorted(segments, key=lambda row: (row.payload["turn"], row.payload["start_ms"], row.record_id)))


def _meetings(rows: Iterable[Row], *, learnable: bool) -> dict[tuple[str, str], _Meeting]:
    """Gather meetings by account and name; the last edited summary of a meeting counts."""
    segments: dict[tuple[str, str], list[Row]] = {}
    references: dict[tuple[str, str], str] = {}
    for row in canonical_order(rows):
        key = (row.account, str(row.payload.get("meeting")))
        match row.payload.get("kind"):
            case "segment":
                segments.setdefault(key, []).append(row)
            case "summary":
                references[key] = row.payload["text"]
    return {
        key: _Meeting(account=key[0], name=key[1], segments=in_turn(found), reference=references.get(key, ""))
        for key, found in sorted(segments.items())
        if not learnable or key in references
    }


def _learnable(rows: Iterable[Row]) -> dict[tuple[str, str], _Meeting]:
    return _meetings(rows, learnable=True)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def cut_sentences(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences; an endless one into runs of clauses, and an endless clause anywhere.

    Returns:
        Characters `start` (included) to `end` (not included) of each.
    """
    spans: list[tuple[int, int]] = []
    for sentence in _SENTENCE.finditer(text):
        words = [word.span() for word in _WORDS.finditer(text, *sentence.span())]
        if len(words) <= _MAX_WORDS:
            spans.append((words[0][0], words[-1][1]))
            continue
        first = 0
        for number, (_, end) in enumerate(words):
            count = number + 1 - first
            if count == _MAX_WORDS or (count >= _CUT_WORDS and text[end - 1] in ",;:") or number + 1 == len(words):
                spans.append((words[first][0], end))
                first = number + 1
    return spans


def _sentences(segments: Sequence[Row]) -> list[_Sentence]:
    found = []
    for number, row in enumerate(segments):
        text = row.payload["text"]
        spans = cut_sentences(text)
        for place, (start, end) in enumerate(spans):
            words = len(text[start:end].split())
            found.append(_Sentence(segment=number, start=start, end=end, words=words, place=place, of=len(spans)))
    return found


# --- features ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A meeting as the regression sees it.

    Attributes:
        sentences: Units, in order.
        tokens: Words of each, lower case.
        terms: Shape (sentences, vocabulary of this meeting), tf-idf in integers.
        hand: Shape (sentences, hand features), fixed point.
        embeddings: Shape (segments, 384), fixed point; none if a segment has no embedding.
        central: Shape (sentences,): cosine of each sentence's segment with the whole meeting; none without embeddings.
    """

    sentences: list[_Sentence]
    tokens: list[list[str]]
    terms: scipy.sparse.csr_array[np.int64]
    hand: Floats
    embeddings: Ints | None
    central: Floats | None

    @property
    def words(self) -> Ints:
        return np.array([sentence.words for sentence in self.sentences], dtype=np.int64)

    @property
    def segment(self) -> Ints:
        return np.array([sentence.segment for sentence in self.sentences], dtype=np.int64)

    def features(self, form: str) -> Floats:
        """Return shape (sentences, features): hand features, their products in pairs and, in full, the embedding."""
        hand = self.hand
        if form == _FULL:
            assert self.embeddings is not None and self.central is not None  # noqa: S101, PT018 - the caller asked `forms`
            hand = np.column_stack([hand, _fixed(2 * self.central - 1)])
        first, second = np.triu_indices(hand.shape[1])
        columns = [hand, np.rint(hand[:, first] * hand[:, second] / _ONE)]
        if form == _FULL and self.embeddings is not None:
            columns.append(self.embeddings[self.segment].astype(np.float64))
        return np.hstack(columns)

    @property
    def form(self) -> str:
        return _HAND if self.embeddings is None else _FULL


def _fixed(values: Floats) -> Floats:
    """Bring values to fixed point: whole numbers, held in float64."""
    return np.rint(np.clip(values, -_BOUND, _BOUND) * _ONE)


def _read(segments: Sequence[Row]) -> _Read:
    sentences = _sentences(segments)
    tokens = [_tokens(segments[s.segment].payload["text"][s.start : s.end]) for s in sentences]
    counts, frequency = _terms(tokens)
    total = len(sentences)
    # Logarithms are brought to integers before they are summed: sums and products below are then exact, and the
    # cosines are one correctly rounded square root and division away.
    rarity = np.array([round(256 * math.log((total + 2) / (n + 1))) for n in frequency], dtype=np.int64)
    terms = scipy.sparse.csr_array(counts @ scipy.sparse.diags_array(rarity, dtype=np.int64))
    segment = np.array([s.segment for s in sentences], dtype=np.int64)
    embeddings = _embeddings(segments)
    central = None
    if embeddings is not None:
        lengths = np.bincount(segment, [s.words for s in sentences], len(segments)).astype(np.int64)
        centre = (embeddings * lengths[:, None]).sum(axis=0)
        # The centre is brought back to 12 bits a number, or its square would not fit.
        centre = np.rint(centre * (_ONE / max(1, int(np.abs(centre).max())))).astype(np.int64)
        central = _cosine(embeddings @ centre, _squares(embeddings), int(centre @ centre))[segment]
    return _Read(
        sentences=sentences,
        tokens=tokens,
        terms=terms,
        hand=_hand(segments, sentences, tokens, counts, rarity, terms),
        embeddings=embeddings,
        central=central,
    )


def _embeddings(segments: Sequence[Row]) -> Ints | None:
    vectors = [row.embedding for row in segments if row.embedding is not None]
    if not segments or len(vectors) < len(segments):
        return None
    return np.rint(np.stack(vectors).astype(np.float64) * _ONE).astype(np.int64)


def _terms(tokens: Sequence[Sequence[str]]) -> tuple[scipy.sparse.csr_array[np.int64], Ints]:
    """Count the telling words of each sentence; return the counts and in how many sentences each word is."""
    vocabulary: dict[str, int] = {}
    cells: Counter[tuple[int, int]] = Counter()
    for number, words in enumerate(tokens):
        cells.update((number, vocabulary.setdefault(w, len(vocabulary))) for w in words if w not in COMMON)
    where = np.array(list(cells), dtype=np.int64).reshape(-1, 2).T
    values = np.array(list(cells.values()), dtype=np.int64)
    counts = scipy.sparse.csr_array((values, (where[0], where[1])), shape=(len(tokens), max(1, len(vocabulary))))
    return counts, np.bincount(where[1], minlength=counts.shape[1]).astype(np.int64)


def _squares(vectors: Ints) -> Ints:
    return np.asarray((vectors * vectors).sum(axis=1))


def _cosine(dots: Ints, squares: Ints, other_squares: Ints | int) -> Floats:
    norms = np.sqrt(squares.astype(np.float64)) * np.sqrt(np.asarray(other_squares, dtype=np.float64))
    return np.asarray(dots / np.maximum(norms, 1.0))


def _hand(  # noqa: PLR0913, PLR0917 - what was made of a meeting so far
    segments: Sequence[Row],
    sentences: Sequence[_Sentence],
    tokens: Sequence[Sequence[str]],
    counts: scipy.sparse.csr_array[np.int64],
    rarity: Ints,
    terms: scipy.sparse.csr_array[np.int64],
) -> Floats:
    """Return shape (sentences, 22): what can be told of a sentence without understanding it, in fixed point.

    The constants bring each to about -1..1; nothing here is fitted.
    """
    number, total = len(segments), len(sentences)
    segment = np.array([s.segment for s in sentences], dtype=np.int64)
    size = np.array([len(words) for words in tokens], dtype=np.int64)
    some = np.maximum(size, 1)
    telling: Ints = np.asarray(counts.sum(axis=1))
    speech = np.bincount(segment, size, number).astype(np.int64)
    position = segment / max(1, number - 1)

    speakers = [row.payload["speaker"] for row in segments]
    said: Counter[str] = Counter()
    for speaker, amount in zip(speakers, speech.tolist(), strict=True):
        said[speaker] += amount
    loudest = max(said.values(), default=0)
    of_speaker = np.array([said[speakers[k]] for k in segment], dtype=np.float64)

    reach = np.concatenate([[0], np.cumsum(speech)])
    near = np.arange(number)
    around = reach[np.minimum(near + 3, number)] - reach[np.maximum(near - 2, 0)] - speech

    def overlap(first: int, last: int) -> Floats:
        """Return how like each sentence is to the segments from `first` to `last` (included) places after its own."""
        turns = scipy.sparse.csr_array(
            (np.ones(total, dtype=np.int64), (segment, np.arange(total))), shape=(number, total)
        )
        by_turn = turns @ terms
        window = scipy.sparse.csr_array((total, terms.shape[1]), dtype=np.int64)
        for step in range(first, last + 1):
            inside = np.flatnonzero((segment + step >= 0) & (segment + step < number))
            shift = scipy.sparse.csr_array(
                (np.ones(len(inside), dtype=np.int64), (inside, segment[inside] + step)), shape=(total, number)
            )
            window = window + shift @ by_turn
        dots: Ints = np.asarray(terms.multiply(window).sum(axis=1))
        return _cosine(dots, _sparse_squares(terms), _sparse_squares(window))

    whole: Ints = np.asarray(terms.sum(axis=0))
    # The sum over a long meeting may need more than 31 bits: 10 bits are dropped before squaring.
    centre = whole >> 10 if whole.max(initial=0) > 2**26 else whole
    central = _cosine(np.asarray(terms @ centre), _sparse_squares(terms), int(centre @ centre))

    heard: Ints = np.asarray(counts.sum(axis=0))
    commonness = np.array([round(256 * math.log1p(n)) for n in heard.tolist()], dtype=np.int64)

    def share(words: frozenset[str]) -> Floats:
        return np.array([sum(w in words for w in own) for own in tokens]) / some

    def log(values: Ints | Floats) -> Floats:
        return np.array([math.log1p(value) for value in values.tolist()])

    question = [segments[s.segment].payload["text"][s.start : s.end].rstrip().endswith("?") for s in sentences]
    columns = [
        2 * position - 1,
        4 * np.minimum(position, 1 - position) - 1,
        log(size) / 2 - 1,
        log(speech[segment]) / 2.5 - 1,
        np.array([s.place / s.of for s in sentences]),
        log(np.array([s.of - 1 for s in sentences])) / 2 - 0.5,
        3 * central - 0.5,
        np.asarray(counts @ rarity) / np.maximum(telling, 1) / (256 * 4) - 1,
        np.asarray(counts @ commonness) / np.maximum(telling, 1) / (256 * 2) - 1,
        2 * of_speaker / max(1, said.total()) - 0.5,
        (of_speaker == loudest).astype(np.float64),
        np.array(question, dtype=np.float64),
        4 * np.array([sum(w.isdigit() for w in own) for own in tokens]) / some,
        2 * telling / some - 1,
        np.array([sum(w in _CUES for w in own) for own in tokens]) / 2,
        4 * share(_FIRST_PERSON) - 0.5,
        4 * share(_LINKS) - 0.5,
        3 * overlap(-3, -1) - 0.5,
        3 * overlap(1, 3) - 0.5,
        log(around[segment]) / 2.5 - 1,
        2 * np.array([len(set(own)) for own in tokens]) / some - 1,
        np.full(total, math.log1p(number) / 3 - 2),
    ]
    return _fixed(np.column_stack(columns))


def _sparse_squares(matrix: scipy.sparse.csr_array[np.int64]) -> Ints:
    return np.asarray(matrix.multiply(matrix).sum(axis=1))


def _label(read: _Read, reference: str) -> Floats:
    """Return how much of each sentence the edited summary uses, in fixed point.

    Of its words, its telling words (twice: or scraps of common words, "of the the", would win) and its pairs of
    neighbouring words (four times: they are rarer and say more). The weights were chosen by cross-validation.
    """
    tokens = _tokens(reference)
    wanted, telling_wanted, pairs_wanted = Counter(tokens), set(tokens) - COMMON, Counter(pairwise(tokens))
    values = np.zeros(len(read.tokens))
    for number, words in enumerate(read.tokens):
        telling = set(words) - COMMON
        used = (Counter(words) & wanted).total() / max(1, len(words))
        telling_used = len(telling & telling_wanted) / max(1, len(telling))
        pairs_used = (Counter(pairwise(words)) & pairs_wanted).total() / max(1, len(words) - 1)
        values[number] = used + 2 * telling_used + 4 * pairs_used
    return np.rint(values * _ONE)


# --- the regression ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Sums of products over sentences, of columns (features, label, 1): shape (columns, columns), int64, by form.

    Attributes:
        fingerprint: Sum of the meetings' fingerprints, modulo 2^64: which meetings these sums are of.
        meetings: How many.
    """

    MODULUS = 2**64

    products: Mapping[str, Ints]
    fingerprint: int
    meetings: int

    @classmethod
    def zero(cls) -> "_Sums":
        return cls(products={}, fingerprint=0, meetings=0)

    @classmethod
    def of(cls, meeting: _Meeting) -> "_Sums":
        read = _read(meeting.segments)
        label = _label(read, meeting.reference)
        learn = read.words >= _LEARN_WORDS
        products = {}
        for form in dict.fromkeys((_HAND, read.form)):
            ones = np.full(len(label), float(_ONE))
            table = np.column_stack([read.features(form), label, ones])[learn]
            products[form] = (table.T @ table).astype(np.int64)  # exact: whole numbers below 2^53
        return cls(products=products, fingerprint=meeting.fingerprint(), meetings=1)

    @classmethod
    def of_several(cls, meetings: Sequence[_Meeting], parts: Parts) -> "_Sums":
        """Return the sums of some meetings, kept or read now."""
        prints = [meeting.fingerprint() for meeting in meetings]
        name = part_name("summary", *(one.to_bytes(8) for one in prints))
        kept = parts.get(name)
        if kept is not None:
            return cls(products=dict(kept), fingerprint=sum(prints) % cls.MODULUS, meetings=len(meetings))
        sums = cls.zero()
        for meeting in meetings:
            sums = sums.plus(cls.of(meeting))
        parts.put(name, sums.products)
        return sums

    def plus(self, other: "_Sums", *, sign: int = 1) -> "_Sums":
        products = dict(self.products)
        for form, table in other.products.items():
            products[form] = products[form] + sign * table if form in products else sign * table
        return _Sums(
            products=products,
            fingerprint=(self.fingerprint + sign * other.fingerprint) % self.MODULUS,
            meetings=self.meetings + sign * other.meetings,
        )

    def model(self) -> Model:
        arrays: dict[str, Array] = {}
        for form, table in self.products.items():
            if table[-1, -1]:  # a form that no meeting has any more leaves nothing behind
                arrays[form] = table[np.triu_indices(len(table))]
        if not arrays:
            raise InvalidInputError(
                "nothing to learn from: no meeting has both segments and an edited summary; collect edited summaries"
            )
        settings = {"format": 1, "meetings": self.meetings, "fingerprint": f"{self.fingerprint:016x}"}
        return Model(family=SummaryFamily.name, settings=settings, arrays=arrays, texts={})

    @classmethod
    def from_model(cls, model: Model) -> "_Sums":
        if model.family != SummaryFamily.name:
            raise InvalidInputError(f"expected a model of the summary family, got one of {model.family!r}")
        products = {}
        for form, packed in model.arrays.items():
            side = (math.isqrt(8 * len(packed) + 1) - 1) // 2
            table = np.zeros((side, side), dtype=np.int64)
            table[np.triu_indices(side)] = packed
            products[form] = np.triu(table) + np.triu(table, 1).T
        fingerprint = int(model.settings["fingerprint"], 16)
        return cls(products=products, fingerprint=fingerprint, meetings=model.settings["meetings"])


def _solve(table: Ints) -> Floats:
    """Solve the ridge regression on standardised features; return a weight per feature.

    The constant is left out: only the order of sentences within a meeting matters.
    """
    exact = table.astype(np.float64) / _ONE**2
    count = exact[-1, -1]
    mean = exact[-1, :-2] / count
    covariance = exact[:-2, :-2] / count - np.outer(mean, mean)
    with_label = exact[-2, :-2] / count - mean * exact[-1, -2] / count
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-6))
    ridge = _RIDGE * (1 + _RIDGE_UNITS / count)
    correlation = covariance / np.outer(spread, spread) + ridge * np.eye(len(spread))
    return np.asarray(np.linalg.solve(correlation, with_label / spread) / spread)


class _Ranker:
    """A model opened: gives each sentence of a meeting a score."""

    def __init__(self, model: Model) -> None:
        self._sums = _Sums.from_model(model)
        self._weights: dict[str, Floats] = {}

    def rank(self, read: _Read) -> tuple[Floats, str | None]:
        form = read.form if read.form in self._sums.products else _HAND
        if form not in self._weights:
            self._weights[form] = _solve(self._sums.products[form])
        note = None if form == _FULL else "Chosen by words and places alone: there are no sentence embeddings."
        return read.features(form) @ self._weights[form] / _ONE, note


def _untrained(read: _Read) -> tuple[Floats, str]:
    if read.central is None:
        return read.words.astype(
            np.float64
        ), "Not trained, and no sentence embeddings: these are the longest sentences."
    return read.central, "Not trained: these are the moments nearest to the middle of what was said."


# --- choosing ---


def _summarize(ranker: _Ranker | None, segments: Sequence[Row], *, words: int) -> Summary:
    read = _read(segments)
    if not any(read.tokens):
        return Summary(moments=(), note="Nothing was said that could be quoted.")
    scores, note = _untrained(read) if ranker is None else ranker.rank(read)
    chosen = _choose(read, scores, words=words)
    return Summary(moments=tuple(_quotes(read, chosen, segments)), note=note)


def _choose(read: _Read, scores: Floats, *, words: int) -> list[int]:
    """Choose sentences one by one: the best score less its likeness to the nearest one chosen, while there is room."""
    lengths = read.words
    limit = max(words, round(words * _SLACK))
    fits = lengths <= limit
    long_enough = fits & (lengths >= _MIN_WORDS)
    left = long_enough if long_enough.any() else fits & (lengths > 0)
    if not left.any():
        return []
    scale = scores[left].std()
    scores = np.round((scores - scores[left].mean()) / (scale if scale > 0 else 1.0), _DECIMALS)
    norms = _sparse_squares(read.terms)
    likeness = np.zeros(len(lengths))
    chosen: list[int] = []
    room = limit
    while room > limit - words:
        left = left & (lengths <= room) & (likeness < _SAME)
        if not left.any():
            break
        best = int(np.where(left, scores - _REDUNDANCY * likeness, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        room -= int(lengths[best])
        dots = np.asarray((read.terms @ read.terms[[best]].T).todense()).ravel()
        likeness = np.maximum(likeness, np.round(_cosine(dots, norms, norms[best]), _DECIMALS))
    return sorted(chosen)


def _quotes(read: _Read, chosen: Sequence[int], segments: Sequence[Row]) -> Iterable[Moment]:
    """Turn chosen sentences into quotes; neighbours within one segment become one quote."""
    runs: list[list[int]] = []
    for number in chosen:
        follows = runs and number == runs[-1][-1] + 1
        if follows and read.sentences[number].segment == read.sentences[runs[-1][-1]].segment:
            runs[-1].append(number)
        else:
            runs.append([number])
    for run in runs:
        first, last = read.sentences[run[0]], read.sentences[run[-1]]
        row = segments[first.segment]
        yield Moment(
            quote=row.payload["text"][first.start : last.end],
            speaker=row.payload["speaker"],
            turn=row.payload["turn"],
            start_ms=row.payload["start_ms"],
            record_id=row.record_id,
        )
