"""Trust policies: the specification's structure and its limits, and checkpoints held against them."""

import pytest

from volition.errors import InvalidInputError, ProofError
from volition.ledger.policy import Policy, check_policy
from volition.ledger.signing import Checkpoint, KeyKind, Signer, checkpoint_text, cosign, sign_note

LOG = Signer.from_seed("log.example/volition", bytes(range(32)))
OTHER = Signer.from_seed("log.example/other", bytes(32))
WITNESSES = {
    name: Signer.from_seed(f"witness.example/{name}", bytes([number]) * 32, KeyKind.COSIGNATURE)
    for number, name in enumerate(["x1", "x2", "x3", "y1", "y2", "y3"], 1)
}
KEYS = {name: signer.key.to_text() for name, signer in WITNESSES.items()}
TWO_LEVELS = f"""\
# Two organisations, each with its own witnesses.
log {LOG.key.to_text()}
\t
witness X1 {KEYS["x1"]}
witness X2\t{KEYS["x2"]} https://x.example/2
  witness X3 {KEYS["x3"]}
group X-witnesses 2 X1 X2 X3

witness Y1 {KEYS["y1"]}
witness Y2 {KEYS["y2"]}
witness Y3 {KEYS["y3"]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def note(*names, signer=LOG, origin=None):
    text = checkpoint_text(Checkpoint(origin=origin or signer.key.name, size=3, root=bytes(32)))
    made = sign_note(text, signer)
    for number, name in enumerate(names):
        made = cosign(made, WITNESSES[name], 1_700_000_000 + number)
    return made


def test_the_example_of_the_specification_is_read():
    policy = Policy.from_text(TWO_LEVELS)

    assert [one.key for one in policy.logs] == [LOG.key]
    assert list(policy.witnesses) == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert policy.witnesses["X2"].url == "https://x.example/2"
    assert policy.groups["X-witnesses"].threshold == 2
    assert (policy.groups["Y-witnesses"].threshold, policy.groups["X-and-Y"].threshold) == (1, 2)


@pytest.mark.parametrize("cosigned", [("x1", "x2", "y1"), ("x3", "y2", "x1"), ("x1", "x2", "x3", "y1", "y2", "y3")])
def test_a_checkpoint_with_the_quorum_is_accepted(cosigned):
    accepted = check_policy(note(*cosigned), Policy.from_text(TWO_LEVELS))

    assert accepted.checkpoint.size == 3
    assert accepted.log == LOG.key
    assert set(accepted.witnesses) == {name.upper() for name in cosigned}
    assert accepted.witnesses[cosigned[1].upper()] == 1_700_000_001


@pytest.mark.parametrize("cosigned", [(), ("x1", "y1"), ("x1", "x1", "y1"), ("x1", "x2", "x3"), ("y1", "y2", "y3")])
def test_a_checkpoint_without_it_is_not(cosigned):
    with pytest.raises(ProofError, match="Too few witnesses"):
        check_policy(note(*cosigned), Policy.from_text(TWO_LEVELS))


def test_witnesses_without_the_log_are_not_enough():
    with pytest.raises(ProofError, match="not signed by a log that is trusted"):
        check_policy(note("x1", "x2", "y1", signer=OTHER), Policy.from_text(TWO_LEVELS))


def test_a_log_signs_for_its_own_origin_alone():
    with pytest.raises(ProofError, match="not signed by a log that is trusted"):
        check_policy(note("x1", "x2", "y1", origin=OTHER.key.name), Policy.from_text(TWO_LEVELS))


def test_a_cosignature_that_fails_rejects_the_checkpoint():
    good, other = note("x1", "x2", "y1"), note("x1", "x2", "y1").replace("\n3\n", "\n4\n")
    with pytest.raises(ProofError):
        check_policy(other, Policy.from_text(TWO_LEVELS))
    forged = good + cosign(sign_note("else\n", LOG), WITNESSES["y2"], 1).splitlines()[-1] + "\n"
    with pytest.raises(ProofError, match=r"not by witness.example/y2"):
        check_policy(forged, Policy.from_text(TWO_LEVELS))


def test_a_policy_without_logs_takes_the_log_that_is_given():
    policy = Policy.from_text("quorum none\n")

    assert check_policy(note(), policy, log=LOG.key).witnesses == {}
    with pytest.raises(InvalidInputError, match="names no log"):
        check_policy(note(), policy)
    with pytest.raises(ProofError):
        check_policy(note(), policy, log=OTHER.key)
    with pytest.raises(InvalidInputError, match="does not trust the log"):
        check_policy(note("x1", "x2", "y1"), Policy.from_text(TWO_LEVELS), log=OTHER.key)


W = f"witness a {KEYS['x1']}\nwitness b {KEYS['x2']}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "newline"),
        (W + "quorum a", "cut off"),
        (W, "no quorum line"),
        (W + "quorum a\nquorum a\n", "Line 4 .* a quorum already"),
        (W + "quorum c\n", "Line 3 .* 'c' is not defined"),
        ("quorum a\n" + W, "Line 1 .* 'a' is not defined"),
        (W + "group g 3 a b\nquorum g\n", "no threshold"),
        (W + "group g 0 a b\nquorum g\n", "no threshold"),
        (W + "group g 01 a b\nquorum g\n", "no threshold"),
        (W + "group g some a b\nquorum g\n", "no threshold"),
        (W + "group g all\nquorum g\n", "expected"),
        (W + "group g all g\nquorum g\n", "not defined"),
        (W + "group g all none\nquorum g\n", "not defined"),
        (W + "group g any a a\nquorum g\n", "at most once"),
        (W + "group g any a\ngroup h any a b\nquorum h\n", "at most once"),
        (W + "group a any b\nquorum a\n", "is taken"),
        (W + f"witness none {KEYS['x3']}\nquorum a\n", "is taken"),
        (W + f"witness a {KEYS['x3']}\nquorum a\n", "is taken"),
        (W + f"witness c {KEYS['x1']}\nquorum a\n", "count twice"),
        (f"witness a {LOG.key.to_text()}\nquorum a\n", "no key of a witness"),
        (f"log {KEYS['x1']}\nquorum none\n", "no key of a log"),
        (f"log {LOG.key.to_text()}\nlog {LOG.key.to_text()}\nquorum none\n", "listed already"),
        ("log nonsense\nquorum none\n", "Line 1 .* no verifier key"),
        (W + "quorum a # b\n", "expected"),
        (W + "Quorum a\n", "expected"),
        (W.replace("\n", "\r\n") + "quorum a\r\n", "control characters"),
        ("# \x7f\nquorum none\n", "control characters"),
        ("#\n" * 1000 + "quorum none\n", "more than 1000"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line(text, why):
    with pytest.raises(InvalidInputError, match=why):
        Policy.from_text(text)


def test_groups_may_be_nested_as_deep_as_a_policy_is_long():
    groups = "".join(f"group g{n} all {f'g{n - 1}' if n else 'a'}\n" for n in range(900))
    policy = Policy.from_text(f"{W}{groups}quorum g899\n")

    assert check_policy(note("x1"), policy, log=LOG.key).checkpoint.size == 3
    with pytest.raises(ProofError, match="Too few"):
        check_policy(note("x2"), policy, log=LOG.key)


def test_a_key_under_another_name_is_still_the_same_witness():
    again = Signer.from_seed("witness.example/renamed", bytes([1]) * 32, KeyKind.COSIGNATURE).key.to_text()
    with pytest.raises(InvalidInputError, match="count twice"):
        Policy.from_text(f"{W}witness c {again}\nquorum a\n")


def test_names_are_bytes_and_not_characters():
    kelvin = "\N{KELVIN SIGN}".encode()
    text = b"witness K %b\nwitness %b %b\ngroup g all K %b\nquorum g\n" % (
        KEYS["x1"].encode(), kelvin, KEYS["x2"].encode(), kelvin)  # fmt: skip
    policy = Policy.from_text(text)
    with pytest.raises(ProofError, match="Too few"):
        check_policy(note("x1"), policy, log=LOG.key)
    assert len(check_policy(note("x1", "x2"), policy, log=LOG.key).witnesses) == 2
    assert Policy.from_text(b"# \xff\xfe\nwitness \xff %b\nquorum \xff\n" % KEYS["x1"].encode()).quorum == "\udcff"
