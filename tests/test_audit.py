"""What audits find: a shape that cannot contradict itself, and that nothing older is taken for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.audit import Finding, at_least, at_most, not_measured
from volition.errors import InvalidInputError

MEASURED = Finding(
    audit="benefit",
    metric="NDCG@10",
    value=0.1,
    low=0.05,
    high=0.2,
    bound=None,
    verdict="no bound",
    units=12,
    how="By a test.",
    detail={"trained": 0.6, "untrained": 0.5, "by_account": {}},
)


@pytest.mark.parametrize("finding", [MEASURED, not_measured("benefit", "Nothing was held out.", bound=0.0)])
def test_a_finding_comes_back_from_json_unchanged(finding):
    assert Finding.from_json(finding.to_json()) == finding


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": None},
        {"verdict": "not measured"},
        {"verdict": "fine"},
        {"measured": True},
    ],
)
def test_a_finding_that_contradicts_itself_or_has_another_shape_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        Finding.from_json(MEASURED.to_json() | wrong)


@given(value=st.floats(allow_nan=False), bound=st.floats(allow_nan=False))
def test_a_verdict_compares_with_its_bound(value, bound):
    assert at_least(value, bound) == ("pass" if value >= bound else "fail")
    assert at_most(value, bound) == ("pass" if value <= bound else "fail")
    assert at_least(value, None) == at_most(value, None) == "no bound"
