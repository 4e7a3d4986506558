"""What a row of another system's table says, by a mapping of its columns; and what is set aside, and why."""

import json
from datetime import UTC, date, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest

from volition.canonical import text_to_us
from volition.consent.claim_presets import PRESETS
from volition.consent.claims import COLUMNS, Claim, ClaimMapping, UnclearClaimError
from volition.consent.terms.vocabulary import BUILT_IN, Category
from volition.errors import InvalidInputError

OURS = 'data = ["content"]\n[names.purpose]\n"AI training" = ["train"]\n"Meeting summaries" = ["feature/summary"]\n'
ROW = {
    "party": "ada",
    "answer": "yes",
    "data": "content, service/usage",
    "purpose": ["train/search"],
    "said": "2024-05-01T10:00:00+02:00",
}


def said(row, mapping=None):
    return [*(mapping or ClaimMapping.plain("crm")).read(row)]


def test_a_row_says_whose_answer_it_is_to_what_and_when_it_was_given():
    [claim] = said({**ROW, "wording": "May we?", "id": 7, "until": "2025-01-01T00:00:00Z", "account": "acme"})
    assert claim == Claim(
        party="ada",
        account="acme",
        yes=True,
        data=("content", "service/usage"),
        purpose=("train/search",),
        said_us=text_to_us("2024-05-01T08:00:00Z"),
        until_us=text_to_us("2025-01-01T00:00:00Z"),
        wording=sha256(b"May we?").hexdigest(),
        id="7",
        source="crm",
    )


@pytest.mark.parametrize(("word", "yes"), [("Opt-In", True), (True, True), (" granted ", True), ("OPTED OUT", False)])
def test_words_for_a_yes_and_a_no_are_known_however_they_are_written(word, yes):
    assert said({**ROW, "answer": word})[0].yes is yes


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_cell_says_nothing(blank):
    assert said({**ROW, "answer": blank}) == [None]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": "maybe"}, "neither one of the words"),
        ({"party": ""}, "whose answer"),
        ({"party": {"id": 1}}, "its party is no text"),
        ({"data": "contents"}, "names for data is not known"),
        ({"purpose": None}, "for which purpose"),
        ({"said": None}, "when the answer was given"),
        ({"said": "2024-05-01T10:00:00"}, "no time zone"),
        ({"said": "2024-05-01"}, "a day without a time zone"),
        ({"said": "yesterday"}, "cannot be read"),
        ({"said": "0000-01-01T00:00:00Z"}, "cannot be read"),
        ({"until": "soon"}, "cannot be read"),
        ({"covers": "past"}, "reaches back"),
        ({"source": "the (old) one"}, "where the answer was given"),
    ],
)
def test_what_is_not_clear_is_set_aside_with_a_reason(change, why):
    [fault] = said({**ROW, **change})
    assert isinstance(fault, UnclearClaimError)
    assert why.casefold() in str(fault).casefold()


def test_of_a_day_a_yes_counts_from_its_end_and_a_no_from_its_beginning():
    zoned = ClaimMapping(source="crm", columns={name: name for name in COLUMNS}, zone=ZoneInfo("Europe/Berlin"))
    for day in ("2024-05-01", date(2024, 5, 1)):
        assert said({**ROW, "said": day}, zoned)[0].said_us == text_to_us("2024-05-01T21:59:59.999999Z")
        assert said({**ROW, "said": day, "answer": "no"}, zoned)[0].said_us == text_to_us("2024-04-30T22:00:00Z")
    twice = {**ROW, "said": "2024-10-27T02:30:00"}  # the hour that comes twice
    assert said(twice, zoned)[0].said_us == text_to_us("2024-10-27T01:30:00Z")
    assert said({**twice, "answer": "no"}, zoned)[0].said_us == text_to_us("2024-10-27T00:30:00Z")


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("seconds", 1714557600),
        ("seconds", "1714557600.000000"),
        ("milliseconds", "1714557600000"),
        ("%d.%m.%Y %H:%M %z", "01.05.2024 12:00 +0200"),
        (None, datetime(2024, 5, 1, 10, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_the_form_that_the_mapping_names(form, cell):
    mapping = ClaimMapping(source="crm", columns={name: name for name in COLUMNS}, form=form)
    assert said({**ROW, "said": cell}, mapping)[0].said_us == text_to_us("2024-05-01T10:00:00Z")


def test_several_columns_of_a_row_are_several_answers():
    mapping = ClaimMapping.from_toml(
        'source = "app"\ndata = ["content"]\n[columns]\nparty = "user_id"\nsaid = "updated"\nid = "id"\n'
        '[[answers]]\ncolumn = "train_ok"\npurpose = ["train"]\n'
        '[[answers]]\ncolumn = "summary_ok"\npurpose = ["feature/summary"]\n'
    )
    row = {"user_id": 5, "updated": "2024-05-01T10:00:00Z", "id": 1, "train_ok": "f", "summary_ok": "t"}
    found = said(row, mapping)
    assert [(one.id, one.yes, one.purpose) for one in found] == [
        ("1/train_ok", False, ("train",)),
        ("1/summary_ok", True, ("feature/summary",)),
    ]


EXPORTS = {  # a row of each, made up
    "onetrust": {
        "Identifier": "ada@helio.example",
        "Purpose Name": "AI training",
        "Purpose Status": "Withdrawn",
        "Last Transaction Date": "2024-05-01T10:00:00Z",
        "Receipt ID": "r-1",
    },
    "transcend": {
        "userId": "ada@helio.example",
        "timestamp": "2024-05-01T10:00:00.000Z",
        "purposes": [{"purpose": "AI training", "enabled": False}, {"purpose": "Newsletter", "enabled": True}],
    },
    "fides": {
        "email": "ada@helio.example",
        "notice_key": "AI training",
        "preference": "opt_out",
        "received_at": "2024-05-01T10:00:00Z",
        "id": "pri-1",
    },
    "segment": {
        "userId": "ada@helio.example",
        "timestamp": "2024-05-01T10:00:00.000Z",
        "messageId": "m-1",
        "context": {"consent": {"categoryPreferences": {"AI training": False, "Functional": True}}},
    },
    "rudderstack": {
        "userId": "ada@helio.example",
        "originalTimestamp": "2024-05-01T10:00:00.000Z",
        "messageId": "m-1",
        "context": {"consentManagement": {"allowedConsentIds": ["other"], "deniedConsentIds": ["AI training"]}},
    },
    "table": {
        "user_id": "ada@helio.example",
        "purpose": "AI training",
        "granted": "f",
        "created_at": "2024-05-01 10:00:00",
        "id": 1,
    },
}


@pytest.mark.parametrize("purposes", ['{"AI training": false, "Newsletter": true}', {"AI training": False}])
def test_answers_may_be_an_object_and_in_a_cell_of_csv_its_json(purposes):
    row = {**EXPORTS["transcend"], "purposes": purposes}
    claims = [one for one in said(row, ClaimMapping.from_toml(OURS, preset="transcend")) if one is not None]
    assert [(one.yes, one.purpose) for one in claims] == [(False, ("train",))]


def test_answers_that_are_no_json_are_set_aside():
    [found] = said({**EXPORTS["transcend"], "purposes": "{half"}, ClaimMapping.from_toml(OURS, preset="transcend"))
    assert "no JSON" in str(found)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_reads_the_export_that_it_is_named_after(preset):
    row = json.loads(json.dumps(EXPORTS[preset]))
    claims = [one for one in said(row, ClaimMapping.from_toml(OURS, preset=preset)) if one is not None]
    assert [(one.party, one.yes, one.data, one.purpose, one.said_us) for one in claims] == [
        ("ada@helio.example", False, ("content",), ("train",), text_to_us("2024-05-01T10:00:00Z"))
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("source = ", "no TOML"),
        ('sauce = "crm"', "nobody reads"),
        ('source = "crm"\n[columns]\nparty = "p"', "`said`"),
        ('source = "crm"\n[columns]\nparty = "p"\nsaid = "s"', "`answer`"),
        ('source = "crm"\n[columns]\nparty = "p"\nsaid = "s"\nanswer = "a"', "`data`"),
        ('source = "crm"\ndata = [["content"]]', "no text"),
        ('data = ["content"]\npurpose = ["train"]\n[columns]\nparty = "p"\nsaid = "s"\nanswer = "a"', "`source`"),
        ('source = "crm"\n[times]\nzone = "Mars/Olympus"', "no time zone"),
        (
            'source = "crm"\ndata=["content"]\npurpose=["train"]\n[columns]\nparty="p"\nsaid="s"\nanswer="a"\n[words]\nyes=["x"]\nno=["X"]',
            "two things",
        ),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(text, why):
    with pytest.raises(InvalidInputError, match=why):
        ClaimMapping.from_toml(text)


def test_what_a_mapping_names_has_to_be_there_where_it_is_used():
    known = BUILT_IN.joined([Category(name="crm/tickets", words="support tickets")])
    mapping = ClaimMapping(source="crm", columns={name: name for name in COLUMNS}, data=("crm/tickets",))
    with pytest.raises(InvalidInputError, match="crm/tickets"):
        mapping.within(BUILT_IN)
    [claim] = said({**ROW, "data": ""}, mapping.within(known))
    assert claim.data == ("crm/tickets",)
    assert said({**ROW, "data": "crm"}, mapping.within(known))[0].data == ("crm",)
    assert isinstance(said({**ROW, "data": "crm"})[0], UnclearClaimError)
