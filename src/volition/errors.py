"""How an operation fails: five errors under one root, so that a caller can tell whose turn it is.

`gate.decide` never raises for a refusal; it returns a verdict. Only an operation that *needed* permission raises
`RefusedError`. Every message says what went wrong, where, and what to do next.

What a missing optional dependency says is here, too: `EXTRA_OF` knows which extra brings which package, so that the
message is the same everywhere and names what to install.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final


class VolitionError(Exception):
    """Root of every error that Volition raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how it is made again in another process, whatever its constructor takes."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[VolitionError], args: tuple[Any, ...], state: dict[str, Any]) -> VolitionError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InvalidInputError(VolitionError):
    """The input is wrong and the caller can mend it."""


class RefusedError(VolitionError):
    """Consent, an audit or an erasure says no. Asking again changes nothing; another decision would."""


class ProofError(VolitionError):
    """Evidence does not verify: something was changed, is missing, or was signed by somebody else."""


class ConflictError(VolitionError):
    """Somebody else wrote first. Read again and retry."""


class BusyError(ConflictError):
    """Somebody else holds what is needed, or too much waits already. Nothing was changed: wait, and retry."""


class BackendError(VolitionError):
    """A store, an engine or an optional package failed or is missing."""


class DamagedError(BackendError):
    """A file that was written whole is lost, or cannot be read as what it was. It is restored, or done without."""


class MissingExtraError(BackendError, ImportError):
    """Packages of an optional extra are not installed. It is an `ImportError` too, for callers who expect one."""


_EXTRAS: Final = {
    "server": "argon2 authlib fastapi httptools httpx2 jinja2 joserfc markdown_it markupsafe prometheus_client "
    "pydantic segno starlette uvicorn uvloop",
    "otlp": "google opentelemetry",
    "learn": "httpx lightgbm scipy",
    "spelling": "spellchecker",
    "search": "onnx onnxruntime safetensors tokenizers",
    "speech": "av faster_whisper",
    "duckdb": "duckdb",
    "spark": "py4j pyspark",
    "delta": "deltalake",
    "iceberg": "pyiceberg",
    "audit": "fairlearn",
    "tables": "psycopg sqlglot",
    "forms": "datasets pandas polars",
    "nats": "nats",
    "kafka": "confluent_kafka",
    "airflow": "airflow",
    "dagster": "dagster",
    "train": "gguf opacus peft torch transformers",
    "mlflow": "mlflow",
    "openlineage": "openlineage",
}
EXTRA_OF: Final[Mapping[str, str]] = MappingProxyType(
    {package: extra for extra, packages in _EXTRAS.items() for package in packages.split()}
)
"""Which extra brings a package, by the name under which it is imported; a test compares this with pyproject.toml."""


def missing_extra(package: str, *, what: str) -> MissingExtraError:
    """Return the error that says what to install for a part that needs a package.

    Args:
        package: The package's top-level name, one of `EXTRA_OF`.
        what: The part that needs it, as a sentence begins: "The server".
    """
    install = f"pip install 'volition[{EXTRA_OF[package]}]'"
    return MissingExtraError(f"{what} needs {package}, which is not installed: {install}", name=package)


def require_extra(*packages: str, what: str) -> None:
    """Check that packages of an extra are installed, without importing them.

    Args:
        packages: Top-level names, each one of `EXTRA_OF`.
        what: The part that needs them, as a sentence begins: "The server".

    Raises:
        MissingExtraError: One is missing. The message names what to install.
    """
    for package in packages:
        if find_spec(package) is None:
            raise missing_extra(package, what=what)


@contextmanager
def naming_extras(what: str) -> Iterator[None]:
    """Say what to install where an import in the block fails for want of an extra.

    Args:
        what: The part that is imported, as a sentence begins: "The family search".

    Raises:
        MissingExtraError: A package of an extra is not installed. Any other failure to import passes unchanged.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        raise missing_extra(package, what=what) from error
