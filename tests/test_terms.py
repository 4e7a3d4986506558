"""Terms: which rule wins, what a file must be, and what a new version changes."""

import contextlib
import copy
import itertools
import re
import tomllib
from dataclasses import replace
from importlib import resources

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.regions import COUNTRIES, EEA, check_region, region_matches
from volition.terms import (
    CATEGORIES,
    PARTY_WORDS,
    PROFILES,
    PURPOSES,
    Basis,
    Rule,
    Switch,
    Terms,
    covers,
    leaves,
    load_profile,
    read_terms,
)
from volition.terms_diff import LOOSENING, Kind, diff, newly_allows
from volition.terms_file import FaultError, parse_toml

USES = list(itertools.product(CATEGORIES, PURPOSES))
DAY_US = 86_400_000_000

# --- generated terms -----------------------------------------------------------------------------------------------

CATEGORY_NAMES = ("service", "content", *CATEGORIES)
PURPOSE_NAMES = ("train", "feature", *PURPOSES)
REGION_NAMES = ("EEA", "DE", "US", "US-CA", "GB")
SOME_REGIONS = (None, "DE", "DE-BY", "FR", "FR-IDF", "US", "US-CA", "US-TX", "GB", "JP")


def some_of(words, least=0, most=3):
    return st.lists(st.sampled_from(words), min_size=least, max_size=most, unique=True).map(tuple)


@st.composite
def rules(draw):
    basis = draw(st.sampled_from(list(Basis)))
    return Rule(
        data=draw(some_of(CATEGORY_NAMES, least=1)),
        purpose=draw(some_of(PURPOSE_NAMES, least=1)),
        region=draw(st.just(()) | some_of(REGION_NAMES)),
        basis=basis,
        asks=draw(some_of(PARTY_WORDS, least=1)) if basis is Basis.CONSENT else (),
        refusable_by=() if basis is Basis.NEVER else draw(some_of(PARTY_WORDS)),
        max_age_us=draw(st.none() | st.sampled_from([1, DAY_US, 365 * DAY_US])),
        scrub=draw(st.booleans()),
    )


def build(ruleset, **other):
    return Terms(
        **{"id": "t", "title": "T", "effective_us": 0, "acceptance": "explicit", "text": "Prose."} | other,
        rules=tuple(ruleset),
    )


@st.composite
def versions(draw):
    """Draw valid terms: rules that tie or never apply are taken out again."""
    ruleset = draw(st.lists(rules(), min_size=1, max_size=5))
    switches = [
        Switch(name=f"switch-{number}", title=draw(st.sampled_from(["A", "B é"])), refuses=refuses, disables=disables)
        for number, (refuses, disables) in enumerate(
            draw(
                st.lists(st.tuples(some_of(PURPOSE_NAMES, least=1), some_of(["feature", "feature/search"])), max_size=2)
            )
        )
    ]
    other = {
        "effective_us": draw(st.integers(0, 4 * 10**15)),
        "acceptance": draw(st.sampled_from(["explicit", "continued-use"])),
        "notice_days": draw(st.integers(0, 90)),
        "switches": tuple(switches),
        "signals": draw(st.just({}) | st.fixed_dictionaries({"gpc": some_of(PURPOSE_NAMES, least=1)})),
    }
    while True:
        try:
            return build(ruleset, **other)
        except FaultError as error:
            key, number = error.path
            if key != "rule":
                raise
            del ruleset[number]
            assume(ruleset)


# --- which rule wins -----------------------------------------------------------------------------------------------


def naive_winners(ruleset, category, purpose, region):
    """Return all rules of the highest rank for a use: the definition, without any table."""

    def rank(rule):
        longest = [
            max((len(name) for name in names if leaf == name or leaf.startswith(f"{name}/")), default=0)
            for names, leaf in ((rule.data, category), (rule.purpose, purpose))
        ]
        country = "" if region is None else region[:2]
        here = not rule.region or region in rule.region or country in rule.region
        here = here or ("EEA" in rule.region and country in EEA)
        return (rule.region != (), *longest) if here and all(longest) else None

    ranks = [rank(rule) for rule in ruleset]
    best = max((known for known in ranks if known), default=None)
    return [rule for rule, known in zip(ruleset, ranks, strict=True) if known == best and best]


@settings(max_examples=150, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=5))
def test_the_most_specific_rule_wins_and_ties_and_dead_rules_are_refused(ruleset):
    winners = {
        (category, purpose, region): naive_winners(ruleset, category, purpose, region)
        for category, purpose in USES
        for region in SOME_REGIONS
    }
    tie = any(len(found) > 1 for found in winners.values())
    used = {id(rule) for found in winners.values() for rule in found}
    if tie or any(id(rule) not in used for rule in ruleset):
        with pytest.raises(InvalidInputError, match="equally specific" if tie else "never applies"):
            build(ruleset)
        return

    terms = build(ruleset)

    for (category, purpose, region), found in winners.items():
        assert terms.rule_for(category, purpose, region) == (found[0] if found else None)


def test_region_beats_category_and_category_beats_purpose():
    anywhere = {"basis": Basis.CONTRACT}
    by_region = Rule(data=("content",), purpose=("train",), region=("EEA",), **anywhere)
    by_category = Rule(data=("content/chat",), purpose=("train",), **anywhere)
    by_purpose = Rule(data=("content",), purpose=("train/search",), **anywhere)
    terms = build([by_purpose, by_category, by_region])

    assert terms.rule_for("content/chat", "train/search", "SE") is by_region
    assert terms.rule_for("content/chat", "train/search", "JP") is by_category
    assert terms.rule_for("content/audio", "train/search", None) is by_purpose
    assert terms.rule_for("content/audio", "train/compose", None) is None


def test_what_is_no_use_or_no_region_is_refused_rather_than_answered():
    terms = load_profile("granular")
    for category, purpose, region in [
        ("content", "train/search", None),
        ("content/chat", "train", None),
        ("content/chat", "train/search", "EEA"),
        ("content/chat", "train/search", ""),
        ("content/chat", "train/search", "UK"),
    ]:
        with pytest.raises(InvalidInputError):
            terms.rule_for(category, purpose, region)


def test_a_name_covers_itself_and_all_below_it_and_nothing_else():
    assert covers("service", "service/usage")
    assert covers("tracking", "tracking")
    assert not covers("serv", "service/usage")
    assert not covers("service/usage", "service")
    assert leaves(["train/compose", "train"], PURPOSES) == PURPOSES[:5]
    with pytest.raises(InvalidInputError, match='Did you mean "content"'):
        leaves(["contents"], CATEGORIES)


def test_regions_take_in_their_parts():
    assert len(EEA) == 30
    assert len(COUNTRIES) == 249
    assert region_matches((), None)
    assert region_matches(("US",), "US-CA")
    assert region_matches(("EEA",), "FR-IDF")
    assert not region_matches(("US-CA",), "US")
    assert not region_matches(("EEA",), "GB")
    assert not region_matches(("EEA", "US"), None)
    assert check_region("US-CA") == "US-CA"
    with pytest.raises(InvalidInputError, match='Write "GB"'):
        check_region("UK")


# --- the form in the ledger ----------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(versions())
def test_terms_come_back_equal_from_json(terms):
    again = Terms.from_json(terms.to_json())

    assert again == terms
    assert again.digest == terms.digest
    assert again.text == ""
    assert again.text_digest == terms.text_digest


def test_another_prose_is_another_version():
    rule = Rule(data=("service",), purpose=("train",), basis=Basis.CONTRACT)
    assert build([rule], text="One.") != build([rule], text="Two.")
    assert build([rule], text="One.").digest != build([rule], text="Two.").digest


def test_terms_too_large_for_a_ledger_entry_are_refused():
    switches = tuple(Switch(name=f"s{number}", title="T" * 200, refuses=("train",)) for number in range(250))
    rule = Rule(data=("service",), purpose=("train",), basis=Basis.CONTRACT)

    with pytest.raises(InvalidInputError, match=r"a ledger entry holds 60,000"):
        build([rule], switches=switches)

    assert len(canonical_json(build([rule], switches=switches[:200]).to_json())) < 60_000


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*CATEGORY_NAMES, "1d", "𝄞"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """Yield the path of every value inside a value."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["bundled", "granular"]), st.randoms(use_true_random=False), ANY_JSON)
def test_a_ledger_entry_that_is_no_terms_is_invalid_input_and_nothing_worse(name, random, junk):
    value = copy.deepcopy(load_profile(name).to_json())
    path = random.choice(list(places(value)))
    target = value
    for step in path[:-1]:
        target = target[step]
    if path:
        target[path[-1]] = junk
    else:
        value = junk
    with contextlib.suppress(InvalidInputError):
        assert Terms.from_json(value).rules


# --- reading files -------------------------------------------------------------------------------------------------

FILE = """\
# rule = [ ]] "comments mean nothing
id = "2026-01"
title = "Terms"
effective = 2026-01-01T00:00:00Z
acceptance = "explicit"
text = "2026-01.md"
notice_days = 14

[[rule]] # first
data = "service"
purpose = [
  "train/search",  # "train"
  'train/compose',
]
basis = "contract"
refusable_by = ["account"]
max_age = "365d"

[[rule]]
data = ["content"]
purpose = "train"
region = ["EEA", "US-CA"]
basis = "consent"
asks = ["account", "everyone"]
scrub = false

[[switch]]
name = "ai"
title = "AI"
off = { refuses = ["train"], disables = ["feature/search"] }

[signal.gpc]
refuses = ["train"]
"""


def write(folder, text, prose=b"Prose.\n"):
    path = folder / "terms.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "2026-01.md").write_bytes(prose)
    return path


def test_a_terms_file_means_what_it_says(tmp_path):
    terms = read_terms(write(tmp_path, FILE))

    assert terms == Terms(
        id="2026-01",
        title="Terms",
        effective_us=1_767_225_600_000_000,
        acceptance="explicit",
        text="Prose.\n",
        notice_days=14,
        rules=(
            Rule(
                data=("service",),
                purpose=("train/search", "train/compose"),
                basis=Basis.CONTRACT,
                refusable_by=("account",),
                max_age_us=365 * DAY_US,
            ),
            Rule(
                data=("content",),
                purpose=("train",),
                region=("EEA", "US-CA"),
                basis=Basis.CONSENT,
                asks=("account", "everyone"),
                scrub=False,
            ),
        ),
        switches=(Switch(name="ai", title="AI", refuses=("train",), disables=("feature/search",)),),
        signals={"gpc": ("train",)},
    )
    assert terms.text == "Prose.\n"


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    windows = b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode()
    plain = read_terms(write(tmp_path, FILE))

    assert read_terms(write(tmp_path, windows)) == plain
    with pytest.raises(InvalidInputError, match=r"terms.toml:20: "):
        read_terms(write(tmp_path, windows.replace(b'"content"', b'"contents"')))


def test_a_signal_named_for_a_group_counts_for_each_purpose_in_it(tmp_path):
    assert read_terms(write(tmp_path, FILE)).signals == {"gpc": PURPOSES[:5]}


RULE_1 = '[[rule]] # first\ndata = "service"\n'
AGAIN = '[[rule]]\ndata = "service"\npurpose = "train/search"\nbasis = "contract"\n\n'
FAULTS = {
    "unknown key at the top": (
        "notice_days",
        "notise_days",
        7,
        'unknown key "notise_days". Did you mean "notice_days"?',
    ),
    "unknown key in a rule": (
        "refusable_by =",
        "refuseable_by =",
        16,
        'unknown key "refuseable_by". Did you mean "refusable_by"?',
    ),
    "unknown key in a switch": (
        'title = "AI"',
        'label = "AI"',
        29,
        'unknown key "label". Use one of "name", "off", "title".',
    ),
    "unknown key in an inline table": (
        "disables =",
        "disable =",
        30,
        'unknown key "disable". Did you mean "disables"?',
    ),
    "unknown signal": ("signal.gpc", "signal.dnt", 32, 'unknown key "dnt". Use one of "gpc".'),
    "unknown key in a signal": (
        'refuses = ["train"]\n',
        'refuses = ["train"]\nalso = 1\n',
        34,
        'unknown key "also". Use one of "refuses".',
    ),
    "missing key at the top": ('title = "Terms"\n', "", 1, 'the key "title" is missing. Add it.'),
    "missing key in a rule": ('basis = "contract"\n', "", 9, 'the key "basis" is missing. Add it.'),
    "missing key in a switch": ('name = "ai"\n', "", 27, 'the key "name" is missing. Add it.'),
    "missing key in an inline table": (
        'refuses = ["train"], ',
        "",
        30,
        'the key "refuses" is missing. Add it.',
    ),
    "no rule": (
        FILE[FILE.index("[[rule]]") :],
        "rule = []",
        9,
        "these terms have no [[rule]], so they allow nothing. Add one.",
    ),
    "text expected": ('title = "Terms"', "title = 7", 3, '"title" must be a text in quotes.'),
    "text or list expected": (
        'data = "service"',
        "data = 7",
        10,
        '"data" must be a text in quotes, or a list of them.',
    ),
    "list of texts expected": ("  'train/compose'", "  8", 13, '"purpose" must list texts in quotes.'),
    "number expected": ("notice_days = 14", 'notice_days = "14"', 7, '"notice_days" must be a whole number, like 30.'),
    "number, not truth": (
        "notice_days = 14",
        "notice_days = true",
        7,
        '"notice_days" must be a whole number, like 30.',
    ),
    "number too large": ("notice_days = 14", "notice_days = 4000", 7, "notice is a number of days from 0 to 3650."),
    "truth expected": ("scrub = false", 'scrub = "no"', 25, '"scrub" must be true or false, without quotes.'),
    "table expected": (
        'off = { refuses = ["train"], disables = ["feature/search"] }',
        "off = true",
        30,
        'expected a table with keys such as "disables", "refuses".',
    ),
    "array of tables expected": (
        FILE[FILE.index("[[rule]]") : FILE.index("[[switch]]")],
        "[rule]\n",
        9,
        "write [[rule]], in double brackets: there can be several.",
    ),
    "unknown category": (
        'data = ["content"]',
        'data = ["contents"]',
        20,
        'there is no category "contents". Did you mean "content"?',
    ),
    "unknown purpose": (
        "  'train/compose'",
        "  'train/composer'",
        13,
        'there is no purpose "train/composer". Did you mean "train/compose"?',
    ),
    "unknown country": (
        '"US-CA"]',
        '"UK"]',
        22,
        (
            'There is no region "UK". Write "GB". Use a code of ISO 3166, such as "DE" or "US-CA"; '
            'a rule can also say "EEA".'
        ),
    ),
    "no region": (
        'region = ["EEA", "US-CA"]',
        "region = []",
        22,
        "no region is named. Remove the key for a rule that holds everywhere.",
    ),
    "unknown word in asks": (
        '"account", "everyone"',
        '"account", "everybody"',
        24,
        'there is no party "everybody". Did you mean "everyone"?',
    ),
    "unknown word in refusable_by": (
        'refusable_by = ["account"]',
        'refusable_by = ["admin"]',
        16,
        'there is no party "admin". Use one of "account", "person", "everyone".',
    ),
    "a word twice": ('"account", "everyone"', '"account", "account"', 24, '"account" is named twice. Remove one.'),
    "unknown basis": (
        'basis = "contract"',
        'basis = "contrat"',
        15,
        'there is no basis "contrat". Did you mean "contract"?',
    ),
    "unknown acceptance": (
        'acceptance = "explicit"',
        'acceptance = "silent"',
        5,
        'there is no acceptance "silent". Use one of "continued-use", "explicit".',
    ),
    "consent that asks nobody": (
        'asks = ["account", "everyone"]',
        "asks = []",
        24,
        'basis "consent" asks nobody. Say whose yes it takes: asks = ["account"].',
    ),
    "consent without asks": (
        'asks = ["account", "everyone"]\n',
        "",
        19,
        'basis "consent" asks nobody. Say whose yes it takes: asks = ["account"].',
    ),
    "never that asks": (
        'basis = "consent"',
        'basis = "never"',
        24,
        'basis "never" asks for nobody\'s yes. Use basis = "consent".',
    ),
    "contract that asks": (
        'basis = "consent"',
        'basis = "contract"',
        24,
        'basis "contract" asks for nobody\'s yes. Use basis = "consent", or refusable_by.',
    ),
    "never that can be refused": (
        'basis = "contract"',
        'basis = "never"',
        16,
        'basis "never" leaves nothing to refuse. Remove refusable_by.',
    ),
    "an age that is none": ('"365d"', '"1 year"', 17, '"1 year" is no age. Write days, like "365d".'),
    "a time without a zone": (
        "00:00:00Z",
        "00:00:00",
        4,
        (
            "this time has no time zone, so its instant is unknown. "
            "Write it with a time zone and without quotes, like 2026-01-31T00:00:00Z."
        ),
    ),
    "a date alone": (
        "2026-01-01T00:00:00Z",
        "2026-01-01",
        4,
        "this is no instant. Write it with a time zone and without quotes, like 2026-01-31T00:00:00Z.",
    ),
    "a time in quotes": (
        "2026-01-01T00:00:00Z",
        '"2026-01-01T00:00:00Z"',
        4,
        "this is no instant. Write it with a time zone and without quotes, like 2026-01-31T00:00:00Z.",
    ),
    "a time before computers": (
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        4,
        "this instant lies outside the years 1970 to 9999.",
    ),
    "a tie": (
        "[[switch]]\n",
        f"{AGAIN}[[switch]]\n",
        27,
        (
            "this rule and rule 1 are equally specific for service/usage and train/search. "
            "Merge them, or give one a longer category or purpose."
        ),
    ),
    "a tie in one region": (
        "[[switch]]\n",
        '[[rule]]\ndata = "content"\npurpose = "train"\nregion = "IS"\nbasis = "never"\n[[switch]]\n',
        27,
        (
            "this rule and rule 2 are equally specific for content/audio and train/search in IS. "
            "Merge them, or give one a longer category or purpose."
        ),
    ),
    "a rule that never applies": (
        RULE_1,
        (
            '[[rule]]\ndata = ["service/usage", "service/telemetry", "service/diagnostics"]\npurpose = "train"\n'
            'basis = "contract"\n\n[[rule]] # first\ndata = "service"\n'
        ),
        14,
        "this rule never applies: others are more specific wherever it could. Remove or narrow it.",
    ),
    "two switches of one name": (
        "[signal.gpc]",
        '[[switch]]\ntitle = "AI too"\noff.refuses = "train"\nname = "ai"\n[signal.gpc]',
        35,
        'a switch "ai" exists already. Rename this one.',
    ),
    "a switch for a purpose that is none": (
        'refuses = ["train"],',
        'refuses = ["training"],',
        30,
        'there is no purpose "training". Did you mean "train"?',
    ),
    "a switch that disables what is no feature": (
        '["feature/search"]',
        '["train/search"]',
        30,
        'there is no feature "train/search". Did you mean "feature/search"?',
    ),
    "a switch that refuses nothing": (
        'refuses = ["train"],',
        "refuses = [],",
        30,
        (
            'no purpose is named. Name at least one of "train", "feature", "train/search", "train/recommend", '
            '"train/summary", "train/compose", "train/diagnose", "feature/search", "feature/recommend", '
            '"feature/summary", "feature/compose", "feature/diagnose", "advertising", "tracking".'
        ),
    ),
    "a switch with a bad name": (
        'name = "ai"',
        'name = "A I"',
        28,
        '"A I" is no name. Use lower-case letters, digits and hyphens.',
    ),
    "an id with a bad letter": (
        '"2026-01"',
        '"2026/01"',
        2,
        '"2026/01" is no id. Use up to 64 letters, digits, ".", "_" and "-".',
    ),
    "a title of two lines": ('"Terms"', '"Te\\nrms"', 3, "a title is one line of 1 to 200 characters."),
    "prose that is missing": (
        "2026-01.md",
        "2026-02.md",
        6,
        (
            'the prose "2026-02.md" cannot be read: No such file or directory. '
            "Put the prose into a Markdown file beside this one, and its name here."
        ),
    ),
    "prose elsewhere": (
        "2026-01.md",
        "../2026-01.md",
        6,
        (
            '"../2026-01.md" is not the plain name of a file. '
            "Put the prose into a Markdown file beside this one, and its name here."
        ),
    ),
    "no TOML": (
        'title = "Terms"',
        "title = Terms",
        3,
        "This is not valid TOML: Invalid value. See https://toml.io for the format.",
    ),
    "TOML that stops short": (
        'refuses = ["train"]\n',
        'refuses = ["train"\n',
        34,
        "This is not valid TOML: Unclosed array. See https://toml.io for the format.",
    ),
    "a key twice": (
        'id = "2026-01"',
        'title = "x"',
        3,
        "This is not valid TOML: Cannot overwrite a value. See https://toml.io for the format.",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_a_file_is_told_with_its_line_and_what_to_do(name, tmp_path):
    before, after, line, message = FAULTS[name]
    assert before in FILE
    path = write(tmp_path, FILE.replace(before, after, 1))

    with pytest.raises(InvalidInputError) as caught:
        read_terms(path)

    assert str(caught.value) == f"{path}:{line}: {message}"


@pytest.mark.parametrize(
    ("prose", "message"),
    [
        (b"Fine.\nNot \xff fine.\n", '"2026-01.md" is not UTF-8 text in its line 2. Save it as UTF-8.'),
        (b" \n", 'the prose "2026-01.md" is empty. Say there in words what the rules say.'),
    ],
)
def test_prose_must_be_text(prose, message, tmp_path):
    path = write(tmp_path, FILE, prose)

    with pytest.raises(InvalidInputError) as caught:
        read_terms(path)

    assert str(caught.value) == f"{path}:6: {message}"


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path):
    path = write(tmp_path, FILE.encode().replace(b'"Terms"', b'"T\xe9rms"'))

    with pytest.raises(InvalidInputError, match=re.escape(f"{path}:3: This line is not UTF-8 text.")):
        read_terms(path)


@pytest.mark.parametrize("name", ["missing.toml", "", "nul\0l.toml"])
def test_a_file_that_cannot_be_read_is_named(name, tmp_path):
    with pytest.raises(InvalidInputError, match="This terms file cannot be read"):
        read_terms(f"{tmp_path}/{name}")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = " + "{a=" * 5000, "\x00", "]"])
def test_absurd_toml_is_invalid_input(text, tmp_path):
    with pytest.raises(InvalidInputError, match=re.escape("terms.toml:1: ")):
        read_terms(write(tmp_path, text))


FRAGMENTS = [
    '"service"', '"content"', '"never"', '"consent"', "[]", "{}", "7", "1.5", "true", '""', "2026-01-01", "12:00:00",
    "[[rule]]", "[rule]", "[[switch]]", "[signal]", "rule", "data", "off", ".", ",", "=", '"', "'''", '"""', "#", "\n",
    "{", "}", "[", "]", "\\", "é", "\ud7ff", "\r\n", "\t", "inf", "nan", '"9d"', "2026-13-01T00:00:00Z",
]  # fmt: skip


@st.composite
def spoiled_files(draw):
    """Draw a good file in which tokens were cut, doubled, swapped for others or moved."""
    tokens = re.findall(r'"[^"\n]*"|\w+|\s+|.', FILE)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(tokens) - 1))
        end = min(len(tokens), start + draw(st.integers(0, 12)))
        tokens[start:end] = draw(
            st.lists(st.sampled_from(FRAGMENTS), max_size=3) | st.just(tokens[start:end] * 2) | st.just([])
        )
        assume(tokens)
    return "".join(tokens).encode()


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=spoiled_files() | st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8")))
def test_any_file_is_terms_or_invalid_input_with_a_line_that_exists(data, tmp_path):
    path = write(tmp_path, data)
    message = ""
    try:
        assert read_terms(path).rules
    except InvalidInputError as error:
        message = str(error)
    told = re.match(re.escape(str(path)) + r":(\d+): .", message or f"{path}:1: fine")
    assert told, message
    assert 1 <= int(told[1]) <= data.count(b"\n") + 1


# --- lines of TOML -------------------------------------------------------------------------------------------------


def test_every_way_to_write_toml_keeps_its_lines():
    text = '''\
top = 1 # x = 2
"quoted.key" = """
[not] = "a table" \\
  # no comment \\""" nor an end"""" # four quotes: one of them inside
'single' = \'\'\'
it''s
\'\'\'
a.b.'c' = 2026-01-01 00:00:00Z
list = [ [1,
  2], { x = 1.5, y = [
  "]", '}'] } # [
  , -inf,
]
[t . "u v"]
k = {}
[[t.rows]]
[[t.rows]]
k = "x"
[t.rows.deep]
k = """"""
'''
    lines = parse_toml(text.encode(), source="x").lines
    found = {".".join(map(str, path)): line for path, line in lines.items()}

    assert found == {
        "top": 1,
        "quoted.key": 2,
        "single": 5,
        "a": 8,
        "a.b": 8,
        "a.b.c": 8,
        "list": 9,
        "list.0": 9,
        "list.0.0": 9,
        "list.0.1": 10,
        "list.1": 10,
        "list.1.x": 10,
        "list.1.y": 10,
        "list.1.y.0": 11,
        "list.1.y.1": 11,
        "list.2": 12,
        "t": 14,
        "t.u v": 14,
        "t.u v.k": 15,
        "t.rows": 16,
        "t.rows.0": 16,
        "t.rows.1": 17,
        "t.rows.1.k": 18,
        "t.rows.1.deep": 19,
        "t.rows.1.deep.k": 20,
    }


class Writer:
    """Writes TOML with odd but valid spacing, and remembers on which line it put what."""

    def __init__(self, random):
        """Start with an empty text."""
        self.random = random
        self.text = ""
        self.lines = {}

    def note(self, path):
        """Remember that `path` starts on the line being written."""
        self.lines[path] = self.text.count("\n") + 1

    def gap(self):
        """Write space where any is allowed."""
        self.text += self.random.choice(["", " ", "\n", " # ]}[{\"'=,\n", "\n\n\t"])

    def value(self, value, path):
        """Write a value."""
        self.note(path)
        if isinstance(value, list):
            self.text += "["
            for position, item in enumerate(value):
                self.gap()
                self.value(item, (*path, position))
                self.gap()
                self.text += ","
            self.gap()
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{ "
            for position, (key, item) in enumerate(value.items()):
                self.text += ", " if position else ""
                self.note((*path, key))
                self.text += f"{self.quote(key)} = "
                self.value(item, (*path, key))
            self.text += " }"
        else:
            self.text += self.quote(value, several_lines=True) if isinstance(value, str) else str(value)

    def quote(self, text, *, several_lines=False):
        """Return a key or a text in one of the ways to quote it."""
        escaped = "".join(
            f"\\U{ord(letter):08x}" if ord(letter) < 32 or letter in '\\"\x7f' else letter for letter in text
        )
        forms = [f'"{escaped}"']
        if several_lines:
            forms.append(f'"""\n{escaped}"""')
        if not re.search(r"[\x00-\x1f'\x7f]", text):
            forms.append(f"'{text}'")
            forms.append(f"'''\n{text}\n'''" if several_lines else f"'{text}'")
        return self.random.choice(forms)


PLAIN = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["[[rule]]", "#", '"""', "\n="]
)
VALUES = st.recursive(
    PLAIN | st.integers(-9, 9) | st.sampled_from([1.5, -2.25]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["pair", "table", "row"]), PLAIN, VALUES), max_size=6), st.randoms())
def test_values_are_found_on_the_lines_on_which_they_were_written(parts, random):
    writer = Writer(random)
    here, rows, seen = (), {}, set()
    for kind, key, value in parts:
        path = (*here, key) if kind == "pair" else (key,)
        if path in seen and not (kind == "row" and path in rows):
            continue
        seen.add(path)
        writer.gap()
        writer.text += "" if writer.text.endswith("\n") else "\n"
        if kind == "row":
            if path not in rows:
                writer.note(path)
            rows[path] = rows.get(path, -1) + 1
            here = (key, rows[path])
            writer.note(here)
            writer.text += f"[[{writer.quote(key)}]]"
        elif kind == "table":
            here = path
            writer.note(here)
            writer.text += f"[ {writer.quote(key)} ]"
        else:
            writer.note(path)
            writer.text += f"{writer.quote(key)} = "
            writer.value(value, path)
    document = parse_toml(writer.text.encode(), source="x")

    assert document.value == tomllib.loads(writer.text)
    assert document.lines == writer.lines


# --- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_loads_and_says_in_its_prose_that_audits_are_part_of_the_purpose(name):
    terms = load_profile(name)

    assert terms.id == name
    assert 150 <= len(terms.text.split()) <= 300
    prose = " ".join(terms.text.lower().split())
    assert "evaluating and auditing" in prose
    assert re.search(r"is part of the purpose (that the model|it) was trained for", prose)
    assert len(canonical_json(terms.to_json())) < 60_000
    assert Terms.from_json(terms.to_json()) == terms


def test_the_profiles_that_ship_are_those_that_can_be_named():
    shipped = {file.name for file in (resources.files("volition") / "profiles").iterdir()}
    assert shipped == {f"{name}.{kind}" for name in PROFILES for kind in ("toml", "md")}
    with pytest.raises(InvalidInputError, match='Did you mean "granular"'):
        load_profile("granula")


def test_no_profile_but_the_2023_ones_allows_advertising_or_tracking():
    for name, (category, purpose) in itertools.product(["bundled", "granular"], USES):
        if purpose in {"advertising", "tracking"}:
            assert load_profile(name).rule_for(category, purpose, None).basis is Basis.NEVER


def test_in_granular_each_use_has_one_switch_of_its_own_that_turns_off_nothing_else():
    switches = load_profile("granular").switches
    assert sorted(switch.refuses for switch in switches) == sorted((purpose,) for purpose in PURPOSES[:10])
    assert not any(switch.disables for switch in switches)


@pytest.mark.parametrize(
    ("name", "use", "region", "asks", "refusable_by"),
    [
        ("granular", ("content/chat", "train/compose"), None, ("account", "everyone"), ()),
        ("granular", ("service/usage", "train/search"), "US", ("account",), ("everyone",)),
        ("granular", ("service/usage", "train/search"), "GB", ("account", "person"), ("everyone",)),
        ("granular", ("service/usage", "feature/recommend"), None, ("account",), ("everyone",)),
        ("granular", ("content/transcript", "feature/summary"), "DE", ("account",), ("person",)),
        ("bundled", ("service/usage", "train/search"), None, (), ("account", "person")),
        ("bundled", ("service/usage", "train/search"), "CH", ("account", "person"), ()),
        ("2023-07-27", ("content/audio", "train/summary"), "DE", (), ()),
        ("2023-08-07", ("content/audio", "train/summary"), "DE", ("account",), ()),
        ("2023-08-11", ("service/telemetry", "tracking"), None, (), ()),
    ],
)
def test_whose_yes_the_profiles_ask_for(name, use, region, asks, refusable_by):
    rule = load_profile(name).rule_for(*use, region)
    assert (rule.asks, rule.refusable_by) == (asks, refusable_by)


def test_no_content_trains_ai_under_the_last_2023_terms():
    terms = load_profile("2023-08-11")
    for category, purpose in USES:
        if category.startswith("content/") and purpose.startswith("train/"):
            assert terms.rule_for(category, purpose, None).basis is Basis.NEVER


# --- what a new version changes ------------------------------------------------------------------------------------

GOLDEN = {
    (None, "2023-03-31"): [
        "Newly allowed: all service data for any purpose. Nobody's yes is asked, and nobody can refuse.",
        (
            "Newly allowed: all content for training AI, AI features and advertising. "
            "Nobody's yes is asked, and nobody can refuse."
        ),
    ],
    ("2023-03-31", "2023-07-27"): [
        "Only the wording changes: the same uses are allowed, and the same people are asked.",
    ],
    ("2023-07-27", "2023-08-07"): [
        "Asked anew: the yes of the account, to use all content for training AI, AI features and advertising.",
        'New switch "Train AI with our content": off refuses training AI.',
        'New switch "AI features": off refuses AI features.',
    ],
    ("2023-08-07", "2023-08-11"): [
        "Newly forbidden: all content for training AI and advertising.",
        'The switch "Train AI with our content" is gone.',
    ],
    ("2023-08-11", "bundled"): [
        "Newly allowed: all content for training AI. It takes the yes of the account and everyone in the record.",
        "Newly forbidden: all service data for advertising and tracking.",
        (
            "Asked anew in the EEA, CH and GB: the yes of the account and the record's first person, "
            "to use all service data for training AI."
        ),
        "Asked anew: the yes of the account, to use all service data for AI features.",
        (
            "Newly refusable by the account and the record's first person outside the EEA, CH and GB: "
            "all service data for training AI."
        ),
        "Newly refusable by the record's first person: all data for AI features.",
        'The switch "AI features" is gone.',
        (
            'New switch "Generative AI features": off refuses training AI, '
            "and turns off the summary feature and the composer."
        ),
    ],
    ("granular", "granular"): ["Nothing changes."],
}


@pytest.mark.parametrize(("old", "new"), GOLDEN)
def test_a_diff_says_in_plain_words_what_changes(old, new):
    changes = diff(old and load_profile(old), load_profile(new))

    assert list(changes.lines()) == GOLDEN[old, new]
    assert changes.to_json()["old"] == old
    assert [change["text"] for change in changes.to_json()["changes"]] == [change.text for change in changes.changes]
    assert canonical_json(changes.to_json())


BEFORE = Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone"))


def changed(**parts):
    values = {name: getattr(BEFORE, name) for name in ("data", "purpose", "region", "basis", "asks", "refusable_by")}
    return Rule(**values | parts)


@pytest.mark.parametrize(
    ("after", "line", "loosens"),
    [
        (
            [changed(asks=("account", "person"))],
            (
                "No longer asked: the yes of the other people in the record, to use all content for training AI. "
                "A no no longer counts."
            ),
            True,
        ),
        (
            [changed(asks=("account",), refusable_by=("everyone",))],
            (
                "No longer asked: the yes of everyone in the record, to use all content for training AI. "
                "A no still counts."
            ),
            True,
        ),
        (
            [changed(max_age_us=DAY_US)],
            "Records usable up to 1 day old (before: at any age): all content for training AI.",
            False,
        ),
        ([changed(scrub=False)], "Personal identifiers no longer scrubbed: all content for training AI.", True),
        (
            [changed(data=("content/chat", "content/files"))],
            "Newly forbidden: audio, video and transcripts for training AI.",
            False,
        ),
        (
            [BEFORE, Rule(data=("content",), purpose=("train",), region=("US",), basis=Basis.NEVER)],
            "Newly forbidden in US: all content for training AI.",
            False,
        ),
        (
            [
                Rule(data=("content",), purpose=("train",), basis=Basis.NEVER),
                changed(region=("US-CA",)),
            ],
            "Newly forbidden outside US-CA: all content for training AI.",
            False,
        ),
        (
            [changed(purpose=tuple(reversed(leaves(["train"], PURPOSES))))],
            "Only the wording changes: the same uses are allowed, and the same people are asked.",
            False,
        ),
        (
            [
                BEFORE,
                changed(data=("service",), purpose=("feature/search",), asks=("person",), refusable_by=("account",)),
            ],
            (
                "Newly allowed: all service data for the search feature. "
                "It takes the yes of the record's first person; the account may refuse."
            ),
            True,
        ),
    ],
)
def test_each_kind_of_change_reads_well(after, line, loosens):
    old, new = build([BEFORE]), build(after, text="Other prose.")

    assert diff(old, new).lines() == (line,)
    assert newly_allows(old, new) is loosens


def test_who_may_refuse_is_told_too():
    nobody = Rule(data=("content",), purpose=("train",), basis=Basis.CONTRACT)
    person = replace(nobody, refusable_by=("person",))

    assert diff(build([nobody]), build([person])).lines() == (
        "Newly refusable by the record's first person: all content for training AI.",
    )
    assert diff(build([person]), build([nobody])).lines() == (
        "No longer refusable by the record's first person: all content for training AI.",
    )
    assert newly_allows(build([person]), build([nobody]))
    assert not newly_allows(build([nobody]), build([person]))


def test_a_signal_that_nobody_could_use_is_not_missed():
    before = build([Rule(data=("content",), purpose=("train",), basis=Basis.CONTRACT)], signals={"gpc": ("train",)})
    after = build([changed(asks=("account",))])

    assert diff(before, after).lines() == ("Asked anew: the yes of the account, to use all content for training AI.",)
    assert not newly_allows(before, after)


def test_settings_and_binding_are_reported_too():
    off = {"refuses": ("train",)}
    old = build(
        [BEFORE],
        switches=(Switch(name="a", title="A", **off), Switch(name="b", title="B", **off)),
        signals={"gpc": ("train",)},
    )
    new = build(
        [BEFORE],
        switches=(Switch(name="a", title="A!", **off), Switch(name="b", title="B", disables=("feature",), **off)),
        acceptance="continued-use",
        notice_days=7,
    )

    assert diff(old, new).lines() == (
        "The Global Privacy Control signal no longer counts as a no: all content for training AI.",
        'The switch "A", now called "A!": off refuses training AI, as before.',
        'The switch "B": off refuses training AI, and turns off AI features (before: off refuses training AI).',
        "A version now binds an account by going on using the service (before: only once it accepts).",
        "What is newly allowed is announced 7 days ahead (before: 30).",
    )
    assert newly_allows(old, new)
    assert not newly_allows(new, old)


ANSWERS = ("yes", "silent", "no", "yes, then signal", "signal")


def permits(rule, signalled, answers, age_us):
    """Say whether a use is permitted, from the words of the design: every yes asked for is there, no no stands."""
    if rule is None or rule.basis is Basis.NEVER or (rule.max_age_us is not None and age_us > rule.max_age_us):
        return False
    for role, answer in zip(["account", "first", "other"], answers, strict=True):
        words = {"account": {"account"}, "first": {"person", "everyone"}, "other": {"everyone"}}[role]
        refused = answer == "no" or ("signal" in answer and signalled)
        if words & {*rule.asks} and (refused or not answer.startswith("yes")):
            return False
        if words & {*rule.refusable_by} and refused:
            return False
    return True


def really_newly_allows(old, new):
    """Look for one person, one record, one use that only the new version permits."""
    cases = {
        (
            old.rule_for(*use, region),
            new.rule_for(*use, region),
            use[1] in old.signals.get("gpc", ()),
            use[1] in new.signals.get("gpc", ()),
        )
        for use in USES
        for region in SOME_REGIONS
    }
    for was, now, was_signalled, now_signalled in cases:
        for answers, age_us in itertools.product(
            itertools.product(ANSWERS, repeat=3), [1, 2, DAY_US + 1, 366 * DAY_US]
        ):
            if permits(now, now_signalled, answers, age_us):
                if not permits(was, was_signalled, answers, age_us):
                    return True
                if was.scrub and not now.scrub:
                    return True
    return False


@st.composite
def revisions(draw):
    """Draw an old version and one in which little is different: unlike versions nearly always loosen something."""
    old = draw(versions())
    rule, other = draw(st.sampled_from(old.rules)), draw(rules())
    names = draw(
        st.sampled_from([("basis", "asks", "refusable_by"), ("max_age_us",), ("scrub",), ("data",), ("purpose",), ()])
    )
    revised = replace(rule, **{name: getattr(other, name) for name in names})
    signals = draw(st.just(old.signals) | st.sampled_from([{}, {"gpc": ("train",)}]))
    try:
        return old, build([revised if known is rule else known for known in old.rules], signals=signals)
    except InvalidInputError:
        reject()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(revisions())
def test_a_version_newly_allows_iff_some_use_was_not_permitted_before(pair):
    old, new = pair

    assert newly_allows(old, new) is really_newly_allows(old, new)
    assert newly_allows(new, old) is really_newly_allows(new, old)
    assert diff(old, new).newly_allows is newly_allows(old, new)
    assert not newly_allows(old, old)


@settings(max_examples=60, deadline=None)
@given(versions(), versions())
def test_a_diff_names_every_use_whose_rule_changed_and_no_other(old, new):
    def meaning(terms, category, purpose, region):
        rule = terms.rule_for(category, purpose, region)
        if rule is None or rule.basis is Basis.NEVER:
            return None
        says = tuple(
            "asked" if words & {*rule.asks} else "may refuse" if words & {*rule.refusable_by} else "none"
            for words in ({"account"}, {"person", "everyone"}, {"everyone"})
        )
        signals = purpose in terms.signals.get("gpc", ()) if says != ("none",) * 3 else None
        return says, signals, rule.max_age_us, rule.scrub

    expected = {
        (*use, region)
        for use in USES
        for region in SOME_REGIONS
        if meaning(old, *use, region) != meaning(new, *use, region)
    }
    changes = [change for change in diff(old, new).changes if change.kind not in {Kind.SWITCH, Kind.BINDING}]
    named = {
        use
        for change in changes
        for use in itertools.product(leaves(change.data, CATEGORIES), leaves(change.purpose, PURPOSES))
    }

    assert named == {(category, purpose) for category, purpose, _ in expected}
    assert {change.kind for change in changes if change.loosens} <= LOOSENING
