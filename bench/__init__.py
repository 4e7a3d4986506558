"""Benchmarks: what the figures in the documentation come from. `python -m bench` lists them.

A benchmark is a module of this package with a function `run(args)`, which returns a JSON object: its name (`bench`),
its `figures`, its `goals` (each a `name`, a `value`, a bound `at_least` or `at_most`, and whether it is `met`) and the
`machine` that it ran on. It reports its progress on stderr.
"""
