"""How thoroughly Hypothesis looks: quickly by default, long under HYPOTHESIS_PROFILE=thorough. Never by the clock."""

import os

from hypothesis import HealthCheck, settings

_UNHURRIED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]

settings.register_profile("quick", deadline=None, max_examples=30, suppress_health_check=_UNHURRIED)
settings.register_profile("thorough", deadline=None, max_examples=400, suppress_health_check=_UNHURRIED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
