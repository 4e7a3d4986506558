"""What a file of terms must be, and on which line what is wrong with it."""

import re
import tomllib

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from drawn_terms import DAY_US
from volition.consent.terms.model import PURPOSES, Basis, Rule, Switch, Terms
from volition.consent.terms.terms_file import read_terms
from volition.consent.terms.toml_file import parse_toml
from volition.errors import InvalidInputError

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


def test_how_long_a_yes_lasts_is_read_and_written_again(tmp_path):
    terms = read_terms(write(tmp_path, FILE.replace("scrub = false", 'max_yes_age = "365d"')))

    assert [rule.max_yes_age_us for rule in terms.rules] == [None, 365 * DAY_US]
    assert [rule.get("max_yes_age") for rule in terms.to_json()["rule"]] == [None, "365d"]
    assert Terms.from_json(terms.to_json()).rules == terms.rules


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    windows = b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode()
    plain = read_terms(write(tmp_path, FILE))

    assert read_terms(write(tmp_path, windows)) == plain
    with pytest.raises(InvalidInputError, match=r"terms.toml:20: "):
        read_terms(write(tmp_path, windows.replace(b'"content"', b'"contents"')))


def test_a_signal_named_for_a_group_counts_for_each_purpose_in_it(tmp_path):
    assert read_terms(write(tmp_path, FILE)).signals == {
        "gpc": tuple(name for name in PURPOSES if name.startswith("train/"))
    }


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
    "a yes that ages where none is asked": (
        'max_age = "365d"',
        'max_yes_age = "365d"',
        17,
        "only a yes that is asked for can age. Name whose in asks.",
    ),
    "a yes that lasts for ages": (
        "scrub = false",
        'max_yes_age = "36501d"',
        25,
        "a yes lasts more than nothing and at most 36500d, a hundred years.",
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
        "no purpose is named. Name at least one of "
        + ", ".join(map('"{}"'.format, ("train", "feature", *PURPOSES)))
        + ".",
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


@pytest.mark.slow
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


@pytest.mark.slow
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
