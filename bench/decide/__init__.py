"""How fast the gate answers questions about one record and about many, against policy engines.

rivals    policy engines that are asked the same questions: Cedar, Casbin, Rego, effaced
answers   the gate's answers, with reason and evidence, timed against the rivals'
"""

from bench.decide.answers import run

__all__ = ["run"]
