"""How thoroughly Hypothesis looks: quickly by default, long under HYPOTHESIS_PROFILE=thorough. Never by the clock.

And where the tests' files lie, the one Spark session, and a word on what was skipped.
"""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from volition.errors import BackendError
from volition.records.engines.spark import check_installed, own_session

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a private folder of its own there
_ENOUGH_BYTES = 4 << 30


def _keep_files_in_memory():
    """Let the tests' files lie in memory where there is room, unless TMPDIR says where.

    Whatever is acknowledged is flushed to the disk first, so tests would wait for a disk most of their time: some four
    fifths of it. A killed process loses as little there, and nothing here is about a machine that loses its power.
    """
    if "TMPDIR" in os.environ or not os.access(_IN_MEMORY, os.W_OK):
        return
    runs_programs = not os.statvfs(_IN_MEMORY).f_flag & os.ST_NOEXEC
    if runs_programs and shutil.disk_usage(_IN_MEMORY).free >= _ENOUGH_BYTES:
        os.environ["TMPDIR"] = str(_IN_MEMORY)  # which other workers and the processes that tests start inherit
        tempfile.tempdir = None  # so that it is looked for anew


_keep_files_in_memory()

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


def pytest_collection_modifyitems(items):
    """Let one worker run all tests that share what a module made for them, so that it is made once."""
    for item in items:
        used = (definitions[-1] for definitions in item._fixtureinfo.name2fixturedefs.values())
        if any(one.scope == "module" for one in used) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


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
