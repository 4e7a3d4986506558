"""What forgetting one person costs against training again, family by family.

cost        one forgetting, timed against one training
families    every family that has a module of its own name here: compose, diagnose, recommend, search, summary
"""

from bench.forget.families import run

__all__ = ["run"]
