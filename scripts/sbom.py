"""The bill of materials of a wheel: what Volition is tested with, and what its pages bring along, as CycloneDX 1.6.

hatchling runs this whenever it builds a wheel, and puts the document into the wheel's `.dist-info/sboms` (PEP 770). It
says only what the checkout says: `pyproject.toml`, the annotated `requirements.lock` and `vendored.toml`; so the same
checkout gives the same bytes. It needs no package but hatchling and what that brings, and no network.

Source: https://cyclonedx.org/docs/1.6/json/ and https://peps.python.org/pep-0770/
"""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid5

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

VENDOR: Final = Path("volition/server/web/static/vendor")
"""Where what pages bring along lies, in the wheel and below `src`."""

NAME: Final = "volition.cdx.json"

_NAMESPACE: Final = UUID("0f3c6f0e-4f0c-5d0b-9a54-3f1c5b7a9d21")  # of serial numbers that follow from the content
_ASKED_BY_US: Final = "volition (pyproject.toml)"  # how uv's annotations name the package itself, groups apart


class Pin(NamedTuple):
    """A line of a lock: one version of one package.

    Attributes:
        name: The package's normalised name.
        version: The one version that the lock allows.
        marker: Where it applies, as an environment marker; empty for everywhere.
        hashes: SHA-256 of each file that may be installed, in hex.
        asked_by: Who asked for it, by uv's annotations; empty in a lock that has none.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    asked_by: frozenset[str]


def locked(path: Path) -> list[Pin]:
    """Read a lock as `make lock` writes it.

    Raises:
        ValueError: If a line is not one version of one package, or the lock is empty.
    """
    blocks = re.split(r"\n(?=[^\s#])", path.read_text(encoding="utf-8").strip())
    if blocks == [""]:
        raise ValueError(f"{path.name} is empty.")
    return [_pin(block, path.name) for block in blocks]


def _pin(block: str, lock: str) -> Pin:
    head, *rest = block.splitlines()
    requirement = Requirement(head.removesuffix("\\"))  # its error is a ValueError that quotes the line
    exactly = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
    if exactly is None:
        raise ValueError(f"{lock}: {head!r} is not one version of one package.")
    return Pin(
        name=canonicalize_name(requirement.name),
        version=exactly[1],
        marker=str(requirement.marker or ""),
        hashes=tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block)),
        asked_by=frozenset(re.findall(r"^ +# +(?:via )?((?!via$).+)$", "\n".join(rest), re.MULTILINE)),
    )


def vendored(folder: Path) -> list[dict[str, Any]]:
    """Return what `vendored.toml` tells of the files beside it, once each of them is what it tells.

    Raises:
        ValueError: If a file's SHA-256 is another one, or a file is not told of.
        FileNotFoundError: If a file is not there.
    """
    parts: list[dict[str, Any]] = tomllib.loads((folder / "vendored.toml").read_text(encoding="utf-8"))["part"]
    told = {
        "vendored.toml",
        *(part["licence_file"] for part in parts),
        *(name for part in parts for name in part["sha256"]),
    }
    if strange := {path.name for path in folder.iterdir()} - told:
        raise ValueError(f"vendored.toml does not tell where {', '.join(sorted(strange))} came from.")
    for part in parts:
        for name, digest in part["sha256"].items():
            if sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise ValueError(f"{name} is not the file that vendored.toml tells of: its SHA-256 is another one.")
    return parts


def bill_of_materials(root: Path) -> bytes:
    """Return the bill of materials of a checkout, as JSON.

    The time of the environment variable SOURCE_DATE_EPOCH, in seconds since 1970, is written down if it is set.

    Raises:
        ValueError: If the lock does not say who asked for what, or a vendored file is not what it should be.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shipped = _shipped(locked(root / "requirements.lock"))
    required = _reached({_name(one) for one in project["dependencies"]}, shipped)
    ours = f"pkg:pypi/{project['name']}@{project['version']}"
    packages = [_package(pin, required=pin.name in required) for pin in shipped]
    parts = [_part(part) for part in vendored(root / "src" / VENDOR)]
    asked = [_purl(pin) for pin in shipped if _ASKED_BY_US in pin.asked_by]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            **_time(os.environ.get("SOURCE_DATE_EPOCH")),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "hatchling", "version": installed("hatchling")}]},
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": ours,
            },
            "properties": [{"name": "volition:extras", "value": ", ".join(_covered(project, shipped))}],
        },
        "components": [*packages, *parts],
        "dependencies": [
            {"ref": ours, "dependsOn": sorted([*asked, *(part["bom-ref"] for part in parts)])},
            *({"ref": _purl(pin), "dependsOn": _asked_by(pin.name, shipped)} for pin in shipped),
        ],
    }
    serial = uuid5(_NAMESPACE, sha256(json.dumps(document, sort_keys=True).encode()).hexdigest())
    return json.dumps({"serialNumber": f"urn:uuid:{serial}", **document}, indent=1, sort_keys=True).encode() + b"\n"


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _shipped(pins: Sequence[Pin]) -> list[Pin]:
    """Return the pins that the package itself needs, with some extra or without; tools of developers are left out."""
    asked = {pin.name for pin in pins if _ASKED_BY_US in pin.asked_by}
    if not asked:
        raise ValueError("requirements.lock does not say who asked for what: run `make lock`.")
    reached = _reached(asked, pins)
    return [pin for pin in pins if pin.name in reached]


def _reached(names: Collection[str], pins: Sequence[Pin]) -> set[str]:
    """Return some packages' names and those of everything that they ask for, at any remove."""
    reached: set[str] = set()
    fresh = set(names)
    while fresh:
        reached |= fresh
        fresh = {pin.name for pin in pins if pin.asked_by & fresh} - reached
    return reached


def _asked_by(name: str, pins: Sequence[Pin]) -> list[str]:
    return sorted(_purl(pin) for pin in pins if name in pin.asked_by)


def _covered(project: Mapping[str, Any], shipped: Sequence[Pin]) -> Iterator[str]:
    """Yield the extras of which every package is in the lock because we asked for it."""
    asked = {pin.name for pin in shipped if _ASKED_BY_US in pin.asked_by}
    for extra, requirements in sorted(project["optional-dependencies"].items()):
        if {_name(one) for one in requirements} <= asked:
            yield extra


def _time(epoch: str | None) -> dict[str, str]:
    if epoch is None:
        return {}
    return {"timestamp": datetime.fromtimestamp(int(epoch), tz=UTC).isoformat().replace("+00:00", "Z")}


def _purl(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{quote(pin.version)}"


def _package(pin: Pin, *, required: bool) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": one} for one in pin.hashes]
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(pin),
        "name": pin.name,
        "version": pin.version,
        "scope": "required" if required else "optional",
        "purl": _purl(pin),
        # One hash for each file that the lock allows; by the package's own URL, since any index may offer them.
        "externalReferences": [{"type": "distribution", "url": _purl(pin), "hashes": hashes}],
    }
    if pin.marker:
        component["properties"] = [{"name": "volition:marker", "value": pin.marker}]
    return component


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    purl = f"pkg:npm/{quote(part['package'])}@{part['version']}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": part["package"],
        "version": part["version"],
        "scope": "required",
        "licenses": [{"license": {"id": part["licence"]}}],
        "purl": purl,
        "components": [
            {
                "type": "file",
                "bom-ref": f"{purl}#{name}",
                "name": str(VENDOR / name),
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for name, digest in sorted(part["sha256"].items())
        ],
    }


class BillOfMaterials(BuildHookInterface):  # type: ignore[type-arg]  # hatchling finds a hook by its base class
    """Puts the bill of materials into each wheel that is built; an editable install is not handed on, and has none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the document for hatchling to take."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / NAME
        path.write_bytes(bill_of_materials(Path(self.root)))
        build_data["sbom_files"].append(str(path))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the document, which is in the wheel now."""
        if version != "editable":
            self._folder.cleanup()
