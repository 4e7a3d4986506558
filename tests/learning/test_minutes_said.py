"""Minutes as people speak, in English and German: handed out, settled, refused, supposed; and how quotes are shown."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from bench.minutes import agreement, read_labelled, second_pass
from volition.learning.families.summary.due import due_in
from volition.learning.families.summary.minutes import take_minutes
from volition.learning.families.summary.sentences import length_of
from volition.learning.families.summary.shown import shown
from volition.learning.families.summary.summary import summarize
from volition.records.lake import Row

MONDAY = date(2025, 6, 2)


def say(*lines, at=datetime(2025, 6, 2, 9, tzinfo=UTC)):
    """Make a meeting of "Speaker: text" lines, on a Monday unless another instant is given."""
    rows = []
    for turn, line in enumerate(lines):
        speaker, text = line.split(": ", 1)
        payload = {"kind": "segment", "meeting": "m", "turn": turn, "start_ms": 9000 * turn, "end_ms": 9000 * turn + 9,
                   "speaker": speaker, "text": text}  # fmt: skip
        rows.append(
            Row(record_id=f"r{turn}", account="acme", people=(speaker,), category="content/transcript",
                collected_us=int(at.timestamp()) * 1_000_000 + turn, payload=payload)
        )  # fmt: skip
    return rows


TEAM = ("Mara Lind: Who does what?", "Pia Oy: I am here.", "Jonas Feld: Me too.", "Koen Riet: So am I.")
RUNDE = ("Mara Lind: Wer macht was?", "Pia Oy: Ich bin da.", "Jonas Feld: Ich auch.", "Koen Riet: Ich bin auch da.")


def test_what_is_handed_out_in_the_third_person_goes_to_whoever_is_named():
    minutes = take_minutes(say(*TEAM, "Mara Lind: So Pia mails the ninety-one today, please.", "Pia Oy: Will do."))
    assert [(one.who, one.what, one.due_date) for one in minutes.actions] == [
        ("Pia Oy", "mails the ninety-one today, please", MONDAY)
    ]


@pytest.mark.parametrize(
    ("line", "who"),
    [("Pia Oy: Ich schicke morgen die Zeichnungen an Koen.", "Pia Oy"),
     ("Mara Lind: Dann druckt Jonas am Samstag die Listen für alle.", "Jonas Feld")],
)  # fmt: skip
def test_german_tasks_are_found(line, who):
    minutes = take_minutes(say(*RUNDE, line, "Koen Riet: Gut."))
    assert (minutes.language, [one.who for one in minutes.actions]) == ("German", [who])


def test_german_decisions_are_found():
    line = "Mara Lind: Einverstanden, wir nehmen den blauen Rahmen."
    assert [one.quote for one in take_minutes(say(*RUNDE, line, "Pia Oy: Gut.")).decisions] == [line[11:]]


@pytest.mark.parametrize(
    "lines",
    [("Mara Lind: Pia, can you write the letter by Friday?", "Pia Oy: No, I can't."),
     ("Mara Lind: Pia, kannst du bis Freitag den Brief schreiben?", "Pia Oy: Nein, das geht nicht."),
     ("Pia Oy: If it rains, I'll send the bus by Friday.", "Koen Riet: Fine."),
     ("Pia Oy: Wenn es regnet, schicke ich morgen den Bus.", "Koen Riet: Gut.")],
)  # fmt: skip
def test_what_is_refused_or_supposed_is_no_task(lines):
    assert take_minutes(say(*lines)).actions == ()


@pytest.mark.parametrize(
    "line",
    ["Mara Lind: Last year somebody said: we decided to sell the van.", "Mara Lind: She said we decided to sell the van.",
     "Mara Lind: If we had decided to sell the van, I would have told you.", "Mara Lind: We haven't agreed to sell the van.",
     "Mara Lind: We don't decide about the van today.", "Mara Lind: Have we agreed on the van?",
     "Mara Lind: Letztes Jahr hat jemand gesagt, wir haben beschlossen, den Bus zu verkaufen.",
     "Mara Lind: Wir haben nicht beschlossen, den Bus zu verkaufen.",
     "Mara Lind: Haben wir beschlossen, den Bus zu verkaufen?",
     "Mara Lind: Wenn wir beschlossen haben, den Bus zu verkaufen, sagt es mir."],
)  # fmt: skip
def test_what_is_reported_supposed_denied_asked_or_put_off_is_no_decision(line):
    team = RUNDE if " den Bus " in line else TEAM
    assert take_minutes(say(*team, line, "Pia Oy: Hm.")).decisions == ()


@pytest.mark.parametrize(
    "line",
    ["Mara Lind: I will not order the wheels by Tuesday, Pia is away.", "Mara Lind: I can't send the list by Friday.",
     "Mara Lind: We won't print the letters tomorrow.", "Mara Lind: Ich kann die Liste bis Freitag nicht schicken.",
     "Mara Lind: Ich schicke die Liste bis Freitag nicht."],
)  # fmt: skip
def test_what_somebody_declines_is_no_task(line):
    team = RUNDE if " Liste " in line else TEAM
    assert take_minutes(say(*team, line, "Pia Oy: Hm.")).actions == ()


def test_what_is_handed_out_to_somebody_is_a_task_and_no_decision():
    minutes = take_minutes(
        say(*TEAM, "Mara Lind: So Jonas releases the new bolts by three tomorrow.", "Jonas Feld: Yes.")
    )
    assert [one.who for one in minutes.actions] == ["Jonas Feld"]
    assert minutes.decisions == ()


def test_what_is_asked_back_is_said():
    minutes = take_minutes(say(*RUNDE, "Mara Lind: Pia, du schickst die Liste bis Freitag, ja?", "Pia Oy: Mache ich."))
    assert "Pia Oy" in {one.who for one in minutes.actions}


def test_the_decision_may_be_called_one():
    lines = ("Mara Lind: That's the decision, blue it is.", "Pia Oy: Good.")
    assert [one.turn for one in take_minutes(say(*TEAM, *lines)).decisions] == [4]


@pytest.mark.parametrize("said", ["了解しました。来週までに資料を送ります。", "Решили красить раму в синий цвет."])
def test_in_another_script_nothing_is_looked_for_however_little_is_said(said):
    assert take_minutes(say(f"Ann: {said}")).language is None


def test_where_neither_language_is_spoken_nothing_is_looked_for():
    said = "Luc: On a décidé de peindre le cadre en bleu, et je vais envoyer les dessins à Marie avant vendredi soir."
    minutes = take_minutes(say(said, said, said))
    assert (minutes.language, minutes.decisions, minutes.actions, minutes.questions) == (None, (), (), ())


@pytest.mark.parametrize(
    ("text", "words", "day"),
    [("this afternoon", "this afternoon", MONDAY), ("by three", "by three", MONDAY),
     ("by Friday next week", "by Friday next week", date(2025, 6, 13)),
     ("by the fifteenth", "by the fifteenth", date(2025, 6, 15)), ("by the end of August", "by the end of August", date(2025, 8, 31)),
     ("bis Freitag", "bis Freitag", date(2025, 6, 6)), ("übermorgen", "übermorgen", date(2025, 6, 4)),
     ("heute Nachmittag", "heute Nachmittag", MONDAY), ("bis zum zwanzigsten", "bis zum zwanzigsten", date(2025, 6, 20)),
     ("nächste Woche", "nächste Woche", None)],
)  # fmt: skip
def test_a_due_word_means_a_day_where_it_means_one(text, words, day):
    assert due_in(f"I send it {text}.", MONDAY) == (words, day)


def test_tomorrow_is_the_readers():
    late = say("Ann: I'll send the drawings tomorrow.", at=datetime(2025, 6, 2, 23, tzinfo=UTC))
    days = [take_minutes(late, zone=zone).actions[0].due_date for zone in (UTC, ZoneInfo("Asia/Tokyo"))]
    assert days == [date(2025, 6, 3), date(2025, 6, 4)]


@pytest.mark.parametrize(
    ("said", "text"),
    [("Um, so the the battery is uh small.", "So the battery is small."), ("We think that that is it.", "We think that that is it."),
     ("The T_V_ w was off.", "The TV was off."), ("Uh, um.", "Uh, um."), ("I'm not not sure.", "I'm not sure."),
     ("Äh, wir wir nehmen das.", "Wir nehmen das.")],
)  # fmt: skip
def test_stumbles_are_not_shown(said, text):
    assert shown(said) == text


def test_a_quote_that_goes_on_from_another_line_is_shown_with_it():
    rows = say("Ann: How shall we paint the frame?", "Bob: That's decided, it is blue.")
    (decision,) = take_minutes(rows).decisions
    assert decision.before is not None
    assert (decision.before.quote, decision.before.speaker) == ("How shall we paint the frame?", "Ann")


def test_a_line_that_may_not_be_shown_is_not_replaced_by_the_one_before_it():
    first, _, last = say("Ann: How shall we paint it now?", "Cem: Not at all.", "Bob: That's decided, it is blue.")
    (decision,) = take_minutes([first, last]).decisions
    assert decision.before is None


def test_length_is_measured_in_text_where_there_are_no_blanks():
    sentence = "明日の会議では電池の大きさと新しい箱の色について決めなければなりません。"
    summary = summarize(None, say(*[f"Ann: {sentence.replace('明日', f'{day}日')}" for day in range(40)]), words=110)
    assert 0 < sum(len(moment.quote) for moment in summary.moments) <= 230
    assert length_of("two words") == 2


def test_agenda_talk_and_what_breaks_off_are_no_moments():
    moments = summarize(
        None,
        say(
            "Ann: Okay let's move on to the next slide of the presentation about the battery supplier.",
            "Bob: The battery supplier wants a contract of three years because the",
            "Cem: The battery supplier wants a contract of three years.",
        ),
    ).moments
    assert [moment.turn for moment in moments] == [2]


@pytest.mark.slow
def test_most_of_what_is_told_of_the_meetings_for_measuring_is_right():
    taken = [(one, take_minutes(one.rows)) for one in read_labelled(None) if one.half == "val"]
    decisions, tasks = agreement(taken, "decisions"), agreement(taken, "tasks")
    assert decisions["precision"] >= 0.8
    assert decisions["recall"] >= 0.6
    assert tasks["precision"] >= 0.8
    assert tasks["recall"] >= 0.7


@pytest.mark.slow
def test_two_passes_of_the_labels_agree():
    read = list(read_labelled(None))
    assert all(second_pass(read, kind)["kappa"] >= 0.8 for kind in ("decisions", "tasks"))
