"""Settings: what `volition.toml` may say, how a new one reads, and the folder in which it is found.

The settings are what makes a folder a workspace. An unknown key, or a value that makes no sense, is refused with the
file and the key. The engines that they may name are listed here.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from volition.consent.gate import Engine
from volition.consent.lease import LENGTH_MS, LONGEST_MS
from volition.consent.terms.toml_file import at, name_lines, read_toml
from volition.errors import InvalidInputError
from volition.features.llm import EndpointSettings
from volition.learning.audit.bounds import read_bounds
from volition.learning.audit.run import DEFAULT_BOUNDS
from volition.learning.families.adapter.recipe import Recipe
from volition.records.engines.arrow import ArrowEngine
from volition.records.engines.duckdb import DuckDBEngine
from volition.records.engines.spark import SparkEngine

ENGINES: Final[Mapping[str, Callable[[], Engine]]] = {
    "arrow": ArrowEngine,
    "duckdb": DuckDBEngine,
    "spark": SparkEngine,
}
"""What can run the gate over the lake, by the setting's name; the first is the default."""

SETTINGS_FILE: Final = "volition.toml"
SETTINGS: Final = """\
# A Volition workspace.

# The log's name: it is the origin of every checkpoint and stays for ever. No spaces, no plus.
origin = "{origin}"

# Days from a no to the day on which every model must have forgotten.
due_days = 30

# What runs the gate over the lake: "arrow", "duckdb", or "spark" (pip install 'volition[spark]', and Java 17).
engine = "arrow"

# For how many milliseconds a process may answer from memory; while one does, a no takes that long to be acknowledged.
lease_ms = 100

# A language model behind an OpenAI-compatible API, for prose, drafts and tone. What people said, where they permitted
# the feature, is sent to this host. The key stands in the variable that key_env names, never here.
# [endpoint]
# url = "http://127.0.0.1:11434/v1"
# model = "llama3.2"
# key_env = "LLM_KEY"
# timeout_s = 60

# The language model whose adapters are trained: a folder (pip install 'volition[train]'; docs/adapter.md).
# [adapter]
# base = "models/SmolLM2-135M"

# What a model's audits must show before it is released, unless somebody overrides by name: volition release --help
{bounds}"""


def find_workspace(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that holds a workspace.

    Raises:
        InvalidInputError: None does.
    """
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).exists():
            return folder
    msg = f"There is no workspace in {start} or above. Make one with `volition init FOLDER`, or name it: --workspace."
    raise InvalidInputError(msg)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return a workspace's settings, each of them there: as it was set, or by default.

    Raises:
        InvalidInputError: There is no workspace in the folder, or its settings cannot be read or make no sense.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        msg = f"There is no workspace in {folder}. Make one with `volition init {folder}`."
        raise InvalidInputError(msg)
    document = read_toml(path)
    settings = dict(document.value)
    for key, kind in (("origin", str), ("due_days", int)):
        if not isinstance(settings.get(key), kind):
            msg = f"{path} needs a key {key!r} ({kind.__name__}). See the comments in a new workspace's file."
            raise InvalidInputError(msg)
    unknown = sorted(settings.keys() - {"origin", "due_days", "engine", "lease_ms", "audit", "endpoint", "adapter"})
    if unknown:
        keys = "origin, due_days, engine, lease_ms, audit, endpoint and adapter"
        msg = f"{path} has the unknown key {unknown[0]!r}. The keys are {keys}."
        raise InvalidInputError(msg)
    engine = settings.setdefault("engine", next(iter(ENGINES)))
    if not isinstance(engine, str) or engine not in ENGINES:
        msg = f"{path} names the engine {engine!r}. The engines are: {', '.join(ENGINES)}."
        raise InvalidInputError(msg)
    lease_ms = settings.setdefault("lease_ms", LENGTH_MS)
    if type(lease_ms) is not int or not 1 <= lease_ms <= LONGEST_MS:
        msg = f"{path} sets lease_ms to {lease_ms!r}. A lease takes 1 to {LONGEST_MS} milliseconds."
        raise InvalidInputError(msg)
    with name_lines(document), at("audit"):
        settings["audit"] = read_bounds(settings.get("audit", {}), DEFAULT_BOUNDS)
    adapter = settings.get("adapter")
    with name_lines(document), at("adapter"):
        settings["adapter"] = None if adapter is None else Recipe.from_toml(adapter)
    table = settings.get("endpoint")
    settings["endpoint"] = None if table is None else EndpointSettings.from_toml(table, where=str(path))
    return settings
