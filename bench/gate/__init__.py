"""What the gate costs a scan: CPU and memory of a gated scan against an ungated one.

data     made-up telemetry, in the lake's layout
rivals   as-of joins that judge the same records: pandas, NumPy, polars, DuckDB
scan     the scans, each in a process of its own
"""

from bench.gate.scan import run

__all__ = ["run"]
