"""Summary: quotes only, chosen as people's edited summaries teach, and forgotten exactly."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.errors import InvalidInputError
from volition.learning.audit.poisoning import measure_poisoning
from volition.learning.audit.trainings import AuditParts
from volition.learning.families.family import NoParts, RecentParts
from volition.learning.families.model import Model
from volition.learning.families.summary import family as summary
from volition.learning.families.summary.family import SummaryFamily
from volition.learning.families.summary.features import HAND_FEATURES, ONE, read_meeting
from volition.learning.families.summary.regression import Sums
from volition.learning.families.summary.summary import rouge_1, summarize
from volition.progress import silent
from volition.records.lake import Row

FAMILY = SummaryFamily()

TOPICS = ["budget", "remote", "battery", "deadline", "contract", "museum", "orchard", "pension", "database", "radio"]
SPEECH = "well yeah you know it is a bit like that thing we saw and then somebody laughed about their weekend"
CHATTER = SPEECH.split()


def vector(text: str) -> np.ndarray:
    """Embed a text by its words: a fixed random direction for each, so that like texts are near."""
    total = np.zeros(384)
    for word in text.lower().split():
        total += np.random.default_rng(int.from_bytes(sha256(word.encode()).digest()[:8])).normal(size=384)
    return (total / max(np.linalg.norm(total), 1e-9)).astype(np.float32)


def segment(text: str, turn: int, *, account="acme", meeting="m", speaker="Ann", embed=True) -> Row:
    return Row(
        record_id=f"{account}/{meeting}/{turn}",
        account=account,
        people=(speaker,),
        category="content/transcript",
        collected_us=turn,
        payload={
            "kind": "segment",
            "meeting": meeting,
            "turn": turn,
            "start_ms": 1000 * turn,
            "end_ms": 1000 * turn + 900,
            "speaker": speaker,
            "text": text,
        },
        embedding=vector(text) if embed else None,
    )


def edited(text: str, *, account="acme", meeting="m", at_us=10**6) -> Row:
    return Row(
        record_id=f"{account}/{meeting}/summary/{at_us}",
        account=account,
        people=("Ann", "Bob"),
        category="content/transcript",
        collected_us=at_us,
        payload={"kind": "summary", "meeting": meeting, "text": text},
    )


def meeting(seed: int, *, account="acme", embed=True) -> list[Row]:
    """Plant a rule: what starts with "We agreed" is in the edited summary, chatter that is longer never is."""
    rng = np.random.default_rng(seed)
    rows, agreed = [], []
    for turn in range(24):
        if turn % 6 == 3:
            first, second = rng.choice(TOPICS, size=2, replace=False)
            text = f"We agreed that the {first} will go before the {second} in the next project plan of spring."
            agreed.append(text)
        else:
            text = " ".join(rng.choice(CHATTER, size=int(rng.integers(4, 26)))).capitalize() + "."
        speaker = ("Ann", "Bob", "Cem")[int(rng.integers(3))]
        rows.append(segment(text, turn, account=account, meeting=f"m{seed}", speaker=speaker, embed=embed))
    return [*rows, edited(" ".join(agreed), account=account, meeting=f"m{seed}")]


def meetings(count: int, *, embed=True) -> list[Row]:
    return [
        row for seed in range(count) for row in meeting(seed, account=("acme", "bolt", "cove")[seed % 3], embed=embed)
    ]


def fit(rows: Sequence[Row]) -> Model:
    return FAMILY.fit(rows, parts=NoParts(), progress=silent)


def forget(model: Model, before: Sequence[Row], after: Sequence[Row]) -> Model:
    return FAMILY.forget(model, before=before, after=after, parts=NoParts(), progress=silent)


@pytest.fixture(scope="module")
def taught() -> list[Row]:
    return meetings(12)


@pytest.fixture(scope="module")
def model(taught) -> Model:
    return fit(taught)


# --- what it says ---


@pytest.mark.slow
@pytest.mark.parametrize("embed", [True, False])
def test_a_trained_model_quotes_what_edited_summaries_taught_it_to_quote(model, embed):
    new = meeting(77, embed=embed)

    trained = summarize(model, new, words=70).moments
    untrained = summarize(None, new, words=70).moments

    agreed = [moment.quote.startswith("We agreed") for moment in trained]
    assert agreed.count(True) == 4
    assert agreed.count(True) > sum(moment.quote.startswith("We agreed") for moment in untrained)


@pytest.mark.slow
def test_training_raises_the_score_on_meetings_it_never_saw(taught):
    known, held_out = FAMILY.holdout(taught, 0, 3)

    trained = FAMILY.evaluate(fit(known), known, held_out)
    untrained = FAMILY.evaluate(None, known, held_out)

    assert trained.units == untrained.units
    assert len(trained.units) >= 2
    assert set(trained.accounts) <= {"acme", "bolt", "cove"}
    assert trained.values.mean() > untrained.values.mean() + 0.05


SPOKEN = st.lists(
    st.text(alphabet=st.sampled_from("ab ,.;?!é\n\t…"), max_size=400) | st.sampled_from([SPEECH, "", "No."]),
    max_size=8,
)


@pytest.mark.slow
@given(SPOKEN, st.integers(1, 60), st.booleans())
def test_every_moment_is_a_verbatim_piece_of_the_segment_it_points_at(model, texts, words, trained):
    rows = [segment(text, turn, speaker=f"S{turn}", embed=False) for turn, text in enumerate(texts)]

    summary = summarize(model if trained else None, rows[::-1], words=words)

    assert [m.turn for m in summary.moments] == sorted(m.turn for m in summary.moments)
    for moment in summary.moments:
        assert moment.quote
        assert moment.quote == moment.quote.strip()
        assert moment.quote in texts[moment.turn]
        assert (moment.speaker, moment.start_ms) == (f"S{moment.turn}", 1000 * moment.turn)
        assert moment.record_id == rows[moment.turn].record_id
    assert sum(len(moment.quote.split()) for moment in summary.moments) <= words


@pytest.mark.parametrize("words", [20, 40, 110])
def test_a_summary_has_about_as_many_words_as_asked_for(model, words):
    said = sum(len(moment.quote.split()) for moment in summarize(model, meeting(5), words=words).moments)

    assert words - 15 <= said <= words  # 10 words are the shortest moment, and what is left may repeat what is there


def test_each_hand_made_feature_has_a_name_and_measures_what_it_says():
    rows = [segment("Did we decide on 12 wheels?", 0), segment("Yes, we did.", 1, speaker="Bo")]
    hand = dict(zip(HAND_FEATURES, read_meeting(rows).hand.T, strict=True))
    asked, answered = hand["question"]
    assert (asked, answered) == (ONE, 0)
    assert hand["numbers"][0] > hand["numbers"][1] == 0
    assert hand["position"].tolist() == [-ONE, ONE]
    assert hand["by who speaks most"].tolist() == [ONE, 0]
    assert hand["cue words"].tolist() == [ONE / 2, 0]


def test_an_endless_sentence_is_quoted_in_part():
    endless = ", ".join(f"word{n} and more words of clause number {n}" for n in range(60))
    no_commas = " ".join(f"word{n}" for n in range(500))

    for text in (endless, no_commas):
        (moment,) = summarize(None, [segment(text, 0)], words=60).moments
        assert moment.quote in text
        assert 40 <= len(moment.quote.split()) <= 60


def test_neighbouring_sentences_of_one_turn_are_one_quote():
    text = "The first sentence has quite enough words to be a moment. The second one has them in as great a number."

    (moment,) = summarize(None, [segment(text, 0), segment("Yes.", 1)], words=40).moments

    assert moment.quote == text


def test_the_same_thing_said_twice_is_quoted_once():
    same = "We will paint the whole harbour blue before the ships return in early spring."
    other = "Nobody has yet found out where the old lighthouse keys were put last summer."
    rows = [segment(same, 0), segment(same, 1), segment(same, 2), segment(other, 3)]

    assert [moment.turn for moment in summarize(None, rows, words=30).moments] == [0, 3]


@pytest.mark.slow
def test_a_meeting_of_short_sentences_is_quoted_too(model):
    assert summarize(model, [segment("Yes.", 0), segment("No, never.", 1)]).moments


def test_a_sentence_that_stumbles_is_quoted_only_where_nothing_else_was_said(model):
    stumbling = "um the the battery the the deadline um uh the contract"
    clear = "the battery will be smaller than the old one was"
    both = summarize(model, [segment(stumbling, 1), segment(clear, 2)])
    assert [moment.quote for moment in both.moments] == [clear]
    alone = summarize(model, [segment(stumbling, 1)])
    assert [moment.quote for moment in alone.moments] == [stumbling]


@pytest.mark.parametrize("texts", [[], [""], ["...", "?"]])
def test_a_meeting_in_which_nothing_was_said_has_no_moments_and_says_so(model, texts):
    summary = summarize(model, [segment(text, turn, embed=False) for turn, text in enumerate(texts)])

    assert summary.moments == ()
    assert summary.note == "Nothing was said that could be quoted."


@pytest.mark.slow
def test_the_note_tells_what_was_missing(model):
    with_embeddings, without = meeting(3), meeting(3, embed=False)
    one_missing = [replace(with_embeddings[0], embedding=None), *with_embeddings[1:]]
    never_saw_embeddings = fit(meetings(3, embed=False))

    assert summarize(model, with_embeddings).note is None
    assert "no sentence embeddings" in (summarize(model, without).note or "")
    assert "no sentence embeddings" in (summarize(model, one_missing).note or "")
    assert "words and places alone" in (summarize(never_saw_embeddings, with_embeddings).note or "")
    assert "Not trained" in (summarize(None, with_embeddings).note or "")
    assert "longest" in (summarize(None, without).note or "")


def test_the_order_of_rows_changes_nothing(model):
    rows = meeting(8)

    assert summarize(model, rows[::-1]) == summarize(model, rows)


def test_rows_of_two_meetings_are_no_meeting(model):
    with pytest.raises(InvalidInputError, match="2"):
        summarize(model, meeting(1) + meeting(2))


def test_a_summary_in_no_words_is_refused(model):
    with pytest.raises(InvalidInputError, match="0 words"):
        summarize(model, meeting(1), words=0)


def test_a_model_of_another_family_is_refused():
    with pytest.raises(InvalidInputError, match="summary family"):
        summarize(Model(family="search", settings={}, arrays={}, texts={}), meeting(1))


# --- what it learns ---


@pytest.mark.slow
def test_meetings_without_an_edited_summary_or_without_segments_teach_nothing(taught, model):
    silent_meeting = [row for row in meeting(50) if row.payload["kind"] == "segment"]
    orphan = edited("Something was agreed.", meeting="never-held")

    assert fit([*taught, *silent_meeting, orphan]).files() == model.files()
    with pytest.raises(InvalidInputError, match="edited summary"):
        fit([*silent_meeting, orphan])


def test_the_last_edited_summary_of_a_meeting_counts():
    rows = meeting(1)
    later = edited("A quite different text about the harbour.", meeting="m1", at_us=10**7)

    assert fit([*rows, later]).arrays["full"].tolist() == fit([*rows[:-1], later]).arrays["full"].tolist()
    assert fit([*rows, later]).arrays["full"].tolist() != fit(rows).arrays["full"].tolist()


def test_no_word_of_a_meeting_is_in_the_model(model):
    assert model.texts == {}
    everything = b"".join(model.files().values())
    assert not [word for word in (*TOPICS, "acme", "Ann") if word.encode() in everything]


def test_a_saved_model_says_what_the_fitted_one_said(model, tmp_path):
    model.save(tmp_path / "model")
    again = Model.load(tmp_path / "model")

    assert again.files() == model.files()
    assert summarize(again, meeting(9)) == summarize(model, meeting(9))


_ANOTHER_PROCESS = """
import sys
sys.path[:0] = [{source!r}, {tests!r}, {tests!r} + "/learning"]
from test_summary import *
model = fit(meetings(12)[::-1])
print(model.digest, repr(summarize(model, meeting(31))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_bytes_and_quotes_do_not_depend_on_process_threads_or_row_order(model, threads):
    script = _ANOTHER_PROCESS.format(
        source=str(Path(__file__).parents[2] / "src"), tests=str(Path(__file__).parents[1])
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads}

    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == f"{model.digest} {summarize(model, meeting(31))!r}"


@pytest.mark.slow
def test_sums_stay_exact_at_the_bounds_of_a_long_meeting():
    # The largest feature is 2^14 in fixed point and the largest label below 2^15: a meeting may have 2^23 sentences.
    rows = [segment("A b c d, yes.", turn) for turn in range(1500)]
    model = fit([*rows, edited("A b c d, yes.")])

    assert model.arrays["full"].dtype == np.int64
    assert np.abs(model.arrays["full"]).max() < 2**53
    assert model.arrays["full"][-1] == 1500 * 4096**2


# --- forgetting ---


def outcome(make) -> dict[str, bytes] | None:
    """Return a model's files, or none when there is nothing to learn from."""
    try:
        return make().files()
    except InvalidInputError:
        return None


SMALL = st.lists(
    st.builds(
        segment,
        st.lists(st.sampled_from([*TOPICS, *CHATTER]), min_size=1, max_size=8).map(lambda words: " ".join(words) + "."),
        st.integers(0, 9),
        account=st.sampled_from(["acme", "bolt"]),
        meeting=st.sampled_from(["m", "n"]),
        speaker=st.sampled_from(["Ann", "Bob", "Cem"]),
        embed=st.booleans(),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row.record_id,
).map(
    lambda rows: [
        *rows,
        *(edited("We agreed on the budget.", account=a, meeting=m) for a in ("acme", "bolt") for m in "mn"),
    ]
)


@pytest.mark.slow
@settings(max_examples=30)
@given(SMALL, st.data())
def test_forgetting_any_rows_leaves_the_bytes_of_a_model_that_never_saw_them(rows, data):
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    after = [row for row, kept in zip(rows, keep, strict=True) if kept]

    assert outcome(lambda: forget(fit(rows), rows, after)) == outcome(lambda: fit(after))


@pytest.mark.slow
@settings(max_examples=30)
@given(SMALL, st.sets(st.sampled_from(["Ann", "Bob", "Cem"])))
def test_forgetting_people_leaves_the_bytes_of_a_model_that_never_saw_them(rows, people):
    after = [row for row in rows if not people & set(row.people)]

    assert outcome(lambda: forget(fit(rows), rows, after)) == outcome(lambda: fit(after))


@pytest.mark.slow
@pytest.mark.parametrize("gone", [[], ["acme"], ["bolt", "cove"]])
def test_forgetting_accounts_leaves_the_bytes_of_a_model_that_never_saw_them(taught, model, gone):
    after = [row for row in taught if row.account not in gone]

    assert forget(model, taught, after).files() == fit(after).files()
    # The key of an erased account is gone, and with it the rows that would have to be subtracted.
    assert forget(model, after, after).files() == fit(after).files()


@pytest.mark.slow
def test_forgetting_one_after_another_is_forgetting_all_at_once(taught, model):
    left = taught
    for number in range(0, 9, 2):
        after = [row for row in left if row.payload["meeting"] != f"m{number}"]
        model, left = forget(model, left, after), after
        assert model.files() == fit(left).files()


@pytest.mark.slow
def test_a_meeting_whose_embeddings_are_gone_is_forgotten_with_them(taught, model):
    after = [replace(row, embedding=None) if row.payload["meeting"] == "m3" else row for row in taught]

    assert forget(model, taught, after).files() == fit(after).files()
    assert forget(model, taught, after).files() != model.files()


@pytest.mark.slow
def test_forgetting_everybody_leaves_nothing_to_make_a_model_of(taught, model):
    with pytest.raises(InvalidInputError, match="nothing to learn from"):
        forget(model, taught, [])


def test_forgetting_subtracts_and_does_not_train_anew(taught, model):
    told = []
    after = [row for row in taught if row.payload["meeting"] != "m4"]

    FAMILY.forget(model, before=taught, after=after, parts=NoParts(), progress=lambda *step: told.append(step))

    assert told == [("subtracting meetings", 1, 1)]


# --- measuring ---


@given(st.text(alphabet=st.sampled_from("abC 1-.'\n"), max_size=60), st.text(alphabet="abC 1-.'", max_size=60))
def test_rouge_1_is_that_of_the_rouge_score_package_without_stemming(scorer, candidate, reference):
    assert rouge_1(candidate, reference) == pytest.approx(scorer.score(reference, candidate)["rouge1"].fmeasure)


@pytest.fixture(scope="module")
def scorer():
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - seconds of imports, for one test

    return RougeScorer(["rouge1"], use_stemmer=False)


def test_rouge_1_counts_letters_of_every_script():
    assert rouge_1("Größe über Mut", "größe ohne mut") == pytest.approx(2 / 3)


def test_every_meeting_is_held_out_whole_in_exactly_one_fold(taught):
    held = [{(row.account, row.payload["meeting"]) for row in FAMILY.holdout(taught, fold, 4)[1]} for fold in range(4)]
    known = [{(row.account, row.payload["meeting"]) for row in FAMILY.holdout(taught, fold, 4)[0]} for fold in range(4)]

    assert sum(len(names) for names in held) == 12
    assert all(not inside & outside for inside, outside in zip(held, known, strict=True))


@pytest.mark.slow
def test_a_killed_training_reads_no_meeting_twice_and_ends_with_the_same_bytes(monkeypatch):
    class Killed:
        """Keeps parts, and dies instead of keeping the third."""

        def __init__(self):
            self.kept = {}

        def get(self, name):
            return self.kept.get(name)

        def put(self, name, arrays):
            if len(self.kept) == 2:
                raise KeyboardInterrupt
            self.kept[name] = dict(arrays)

    monkeypatch.setattr(summary, "_A_PART", 2)
    rows, parts = meetings(6), Killed()
    whole = fit(rows).files()
    with pytest.raises(KeyboardInterrupt):
        FAMILY.fit(rows, parts=parts, progress=silent)

    read, kept = [], dict(parts.kept)
    of = Sums.of
    monkeypatch.setattr(Sums, "of", lambda one: (read.append(one.name), of(one))[1])
    parts.put = lambda name, arrays: kept.update({name: arrays})
    assert FAMILY.fit(rows, parts=parts, progress=silent).files() == whole
    assert (len(read), len(kept)) == (2, 3)
    assert fit(meetings(5)).files() == FAMILY.fit(meetings(5), parts=parts, progress=silent).files() != whole


# --- what audits remember ---


@pytest.mark.parametrize("most_bytes", [0, 3_000_000, 1 << 30])
def test_sums_that_are_remembered_give_the_same_bytes_however_few_fit(taught, model, most_bytes):
    recent = RecentParts(most_bytes)
    for gone in ("Ann", "Bob", "Ann"):
        after = [row for row in taught if gone not in row.people or row.account != "acme"]
        found = FAMILY.forget(model, before=taught, after=after, parts=recent, progress=silent)
        assert found.files() == fit(after).files()
        assert FAMILY.fit(after, parts=recent, progress=silent).files() == found.files()


def test_audits_that_remember_find_the_same_and_read_each_meeting_once(taught, monkeypatch):
    rows = [replace(row, account="acme", people=(f"p{place % 6}",)) for place, row in enumerate(taught)]
    read = []
    monkeypatch.setattr(Sums, "of", classmethod(lambda cls, one, of=Sums.of.__func__: read.append(one) or of(cls, one)))

    def found(parts):
        read.clear()
        findings = measure_poisoning(FAMILY, rows, bound=None, progress=silent, parts=parts)
        return [one.to_json() for one in findings], [one.fingerprint() for one in read]

    anew, with_all = found(NoParts())
    remembered, with_few = found(AuditParts(NoParts()))
    assert remembered == anew
    assert any(one["value"] is not None for one in anew)
    assert len(with_few) == len(set(with_few)) == len(set(with_all)) < len(with_all)


def test_parts_in_memory_are_those_that_were_used_last():
    recent, part = RecentParts(24), {"x": np.zeros(1)}
    for name in ("a", "b", "c"):
        recent.put(name, part)
    assert recent.get("a") is not None
    recent.put("d", part)
    assert [name for name in "abcd" if recent.get(name) is not None] == ["a", "c", "d"]
    recent.put("d", {"x": np.zeros(3)})
    assert [name for name in "abcd" if recent.get(name) is not None] == ["d"]
    recent.put("e", {"x": np.zeros(4)})  # more than there is room for
    assert [name for name in "abcde" if recent.get(name) is not None] == ["d"]
