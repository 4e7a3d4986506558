"""The other verifier, which was written from docs/formats alone: it sees what this one sees, and every lie by its name."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import volition_verify as other
from test_dishonest_operator import (  # noqa: F401 - fixtures
    KINDS,
    LIES,
    changes,
    cut_off,
    documents,
    forger,
    honest,
    is_as_true,
    relined,
    resigned,
    spaced,
    twice_said,
    unsalted,
    verify,
)

from simulator import DAY_US, SIGNER
from volition.transparency.verify.archive import pack

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "docs" / "formats" / "samples"
KEY = other.Key.of(SIGNER.key.to_text())


def names(checks):
    return [(check[0], check[1]) for check in checks]


def failing(report):
    return [check for check in report.checks if not check[1]]


def test_the_honest_bundle_holds_in_the_same_checks(honest, tmp_path):  # noqa: F811
    report = other.verify_bundle(pack(honest.members), KEY)
    assert report.holds, failing(report)
    assert names(report.checks) == [(check.name, check.holds) for check in verify(honest.members, tmp_path).checks]
    assert sum(claim.startswith("snapshot") for claim in report.claimed) == 2
    assert sum(claim.startswith("card of") for claim in report.claimed) == 2


@pytest.mark.parametrize("name", LIES)
def test_a_lie_fails_in_the_same_check(honest, forger, tmp_path, name):  # noqa: F811
    tell, check, _ = LIES[name]
    tell(forger, honest)
    members = forger.bundle()
    report = other.verify_bundle(pack(members), KEY)
    assert failing(report), name
    assert failing(report)[0][0].startswith(check), failing(report)
    assert names(report.checks) == [(one.name, one.holds) for one in verify(members, tmp_path).checks]
