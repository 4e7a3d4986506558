"""How thoroughly Hypothesis looks: quickly by default, long under HYPOTHESIS_PROFILE=thorough. Never by the clock.

And the one Spark session, and a word on what was skipped.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, settings

from volition.errors import BackendError
from volition.records.engines.spark import check_installed, own_session

_UNHURRIED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]

settings.register_profile("quick", deadline=None, max_examples=30, suppress_health_check=_UNHURRIED)
settings.register_profile("thorough", deadline=None, max_examples=45, suppress_health_check=_UNHURRIED)
settings.register_profile(  # one failure is enough there, and the same inputs for each mutant
    "mutants",
    deadline=None,
    max_examples=20,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=_UNHURRIED,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_terminal_summary(terminalreporter):
    """Say once, not once a test, why tests were skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, total in reasons.items():
        terminalreporter.write_line(f"{total} skipped: {reason}")


@pytest.fixture(scope="session")
def spark():
    """Start the one Spark session of a test run; where it cannot start, skip, or fail if it was asked for.

    Whoever uses it is marked `xdist_group("spark")`, so that of several workers one alone starts it.
    """
    try:
        check_installed()
    except BackendError as error:
        say = pytest.fail if os.environ.get("VOLITION_SPARK") == "required" else pytest.skip
        say(str(error))
    session = own_session(cores=2)
    yield session
    session.stop()
