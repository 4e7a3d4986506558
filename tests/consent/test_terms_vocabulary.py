"""Names that terms declare: what a file may say of them, and what a comparison of two versions does."""

from dataclasses import replace

import pytest
from test_terms_diff import BEFORE
from test_terms_file import FILE, write

from drawn_terms import build
from volition.consent.terms.diff import ChangeKind, diff
from volition.consent.terms.model import Terms
from volition.consent.terms.terms_file import load_profile, read_terms
from volition.consent.terms.vocabulary import BUILT_IN, Category, Purpose
from volition.errors import InvalidInputError

# --- in a file -------------------------------------------------------------------------------------------------------

DECLARING = (
    FILE
    + """
[[category]]
name = "crm/tickets"
words = "support tickets"
[[purpose]]
name = "train/churn"
title = "Train churn prediction"
[[rule]]
data = "crm"
purpose = "train/churn"
basis = "consent"
asks = ["account"]
"""
)
START = FILE.count("\n") + 2
DECLARED_FAULTS = {
    "no name": ('"crm/tickets"', '"CRM"', 1, '"CRM" is no name. Write one or two segments'),
    "three segments": ('"crm/tickets"', '"crm/a/b"', 1, '"crm/a/b" is no name.'),
    "built in": ('"crm/tickets"', '"content/chat"', 1, '"content/chat" is there already, in every version.'),
    "a built-in root": ('"crm/tickets"', '"content"', 1, '"content" is there already, in every version.'),
    "a root of purposes": (
        '"crm/tickets"',
        '"train/tickets"',
        1,
        '"train" names a purpose. A category needs a root of',
    ),
    "below a single purpose": ('"train/churn"\ntitle', '"tracking/x"\ntitle', 4, '"tracking" is a purpose by itself'),
    "a root of categories": (
        '"train/churn"\ntitle',
        '"crm/churn"\ntitle',
        4,
        '"crm" names a category. A purpose needs',
    ),
    "nothing below": ('"crm/tickets"', '"crm"', 1, '"crm" is a root with nothing below it. Declare what is below it'),
    "no words": ('"support tickets"', '" "', 2, '"words" is one line of 1 to 200 characters.'),
    "two lines": ('"support tickets"', '"a\\nb"', 2, '"words" is one line of 1 to 200 characters.'),
    "an unknown key": ("words =", "word =", 2, 'unknown key "word". Did you mean "words"?'),
    "content below service": (
        '"crm/tickets"',
        '"service/x"\ncontent = true',
        2,
        'all that is below "service" is no co',
    ),
    "no content below content": (
        '"crm/tickets"',
        '"content/x"\ncontent = false',
        2,
        'all that is below "content" is c',
    ),
    "reserved": ('"crm/tickets"', '"person/x"', 1, '"person" means something else here.'),
    "a category that nobody declares": ('data = "crm"', 'data = "hr"', 7, 'there is no category "hr". Use one of'),
    "a purpose that nobody declares": (
        '"train/churn"\nbasis',
        '"scoring"\nbasis',
        8,
        'there is no purpose "scoring". Use',
    ),
}


@pytest.mark.parametrize("name", DECLARED_FAULTS)
def test_a_fault_in_what_is_declared_is_told_with_its_line(name, tmp_path):
    before, after, line, message = DECLARED_FAULTS[name]
    assert before in DECLARING
    path = write(tmp_path, DECLARING.replace(before, after, 1))
    with pytest.raises(InvalidInputError) as caught:
        read_terms(path)
    assert str(caught.value).startswith(f"{path}:{START + line}: {message}")


def test_what_nobody_declares_is_told_with_what_to_write(tmp_path):
    path = write(tmp_path, DECLARING.replace('data = "crm"', 'data = "hr"'))
    with pytest.raises(InvalidInputError, match=r"Or declare it, in a table \[\[category\]\]\.$"):
        read_terms(path)


def test_declared_names_are_read_with_their_usual_words_and_come_back_from_the_ledger(tmp_path):
    terms = read_terms(write(tmp_path, DECLARING))
    assert terms.categories == (Category(name="crm/tickets", words="support tickets", content=True),)
    assert terms.purposes[0].does == "Your data is used for this: training churn prediction."
    assert terms.vocabulary.is_content("crm/tickets")
    assert terms.rule_for("crm/tickets", "train/churn").asks == ("account",)
    assert Terms.from_json(terms.to_json()) == replace(terms, text="", text_digest=terms.text_digest)
    for key in ("content", "briefly"):  # in the ledger every key is there, so that every reader reads the same
        value = terms.to_json()
        del value["category"][0][key]
        with pytest.raises(InvalidInputError, match=f'the key "{key}" is missing'):
            Terms.from_json(value)


def test_the_built_in_names_are_read_as_declared_ones_are():
    assert BUILT_IN.categories[:2] == ("service/usage", "service/telemetry")
    assert BUILT_IN.purposes[-1] == "tracking"
    assert BUILT_IN.content == {name for name in BUILT_IN.categories if name.startswith("content/")}
    assert load_profile("granular").vocabulary is BUILT_IN


def test_profiles_are_to_the_byte_what_they_were_before_names_could_be_declared():
    assert load_profile("granular").digest == "2d86424290427522185fb073b3a5750814414effb5329fcd38d2bd82b09e4aab"
    assert load_profile("bundled").digest == "76b9114cf0ce6b02bbf124557d4a01f99e08cc1b4e7191f48d0c9b2f537298b7"


# --- what a diff says of them ----------------------------------------------------------------------------------------

TICKETS = Category(name="crm/tickets", words="support tickets")
NOW_CONTENT = "now counts as content: it is scrubbed and gated as content is."
CHURN = Purpose(name="train/churn", title="Train churn prediction")


def declaring(*declared, rules=(BEFORE,)):
    categories = tuple(one for one in declared if isinstance(one, Category))
    return build(rules, categories=categories, purposes=tuple(one for one in declared if isinstance(one, Purpose)))


def test_a_name_that_is_declared_newly_allows_nothing_by_itself():
    found = diff(declaring(), declaring(TICKETS))
    assert found.lines() == (
        'Newly declared: the category "crm/tickets" (support tickets; content). By itself that allows nothing.',
    )
    assert not found.newly_allows


def test_a_rule_that_speaks_of_what_is_newly_declared_newly_allows_it():
    found = diff(declaring(), declaring(CHURN))  # the rule is for "train", which has another purpose below it now
    allowed, declared = found.lines()
    assert allowed.startswith("Newly allowed: all content for training churn prediction. It takes the yes of")
    assert declared.startswith('Newly declared: the purpose "train/churn" (Train churn prediction).')
    assert found.newly_allows


def test_a_name_that_is_not_declared_any_more_is_told_and_forbidden():
    forbidden, gone = diff(declaring(CHURN), declaring()).lines()
    assert forbidden == "Newly forbidden: all content for training churn prediction."
    assert gone.startswith('No longer declared: the purpose "train/churn" (Train churn prediction). Nothing is allowed')


def test_other_words_and_whether_it_is_content_are_told():
    now = Category(name="crm/tickets", words="tickets of customers", content=False)
    assert diff(declaring(now), declaring(TICKETS)).lines() == (
        f'The category "crm/tickets" (support tickets; content) {NOW_CONTENT}',
        '"crm/tickets" is called otherwise: support tickets (before: tickets of customers).',
    )
    [told, _] = diff(declaring(TICKETS), declaring(now)).changes
    assert told.kind is ChangeKind.NO_LONGER_CONTENT
    renamed = replace(CHURN, title="Churn", does="It guesses who leaves.")
    [line] = diff(declaring(CHURN), declaring(renamed)).lines()
    assert line.startswith('"train/churn" is called otherwise: Churn; It guesses who leaves.')
