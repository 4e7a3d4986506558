"""Does an advisory speak of what the locks pin, or of what the pages bring along? Needs advisories, and no network.

    python -m scripts.advisories ADVISORIES [LOCK ...]

ADVISORIES is in the OSV form: a folder, a zip archive or a JSON file, as vulnerability databases hand them out. Without
LOCK every lock is looked at but `lowest.lock`, whose versions are old on purpose. What was looked into and does not
concern us is listed in `pyproject.toml`, with the reason: `[tool.volition.accepted-advisories]`.

The answer is 0 if no advisory concerns us; 1 if one does, or if it cannot be told; 2 if the advisories cannot be read,
or none of them is about packages for Python: what is missing is not taken for a clean bill.

Source: https://ossf.github.io/osv-schema/
"""

import json
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scripts.sbom import VENDOR, locked, vendored

ROOT: Final = Path(__file__).resolve().parent.parent

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one JSON file in an archive: more is refused rather than unpacked."""

_ORDER: Final = {"fixed": 0, "introduced": 1, "last_affected": 2}  # at the same version: in doubt, affected


class Part(NamedTuple):
    """Something of somebody else's that we install or hand on.

    Attributes:
        ecosystem: "PyPI" or "npm", as OSV spells them.
        name: Its name there; normalised for PyPI.
        version: Its one version.
        where: The file that names it.
    """

    ecosystem: str
    name: str
    version: str
    where: str


class Concern(NamedTuple):
    """An advisory that speaks of a part.

    Attributes:
        part: The part.
        ids: The advisory's identifier, and after it its aliases.
        summary: What it is about, in its own words.
        certain: False if it does not say in a way that we can compare which versions are affected.
        fixed: The versions in which it is fixed, as the advisory lists them.
    """

    part: Part
    ids: tuple[str, ...]
    summary: str
    certain: bool
    fixed: tuple[str, ...]


def parts(locks: Sequence[Path], vendor: Path) -> list[Part]:
    """Return what some locks pin, and what pages bring along.

    Raises:
        ValueError: If there is no lock, or one cannot be read, or a vendored file is not what `vendored.toml` tells.
        OSError: If a file is not there.
    """
    if not locks:
        raise ValueError("There is no lock to look at.")
    pinned = [Part("PyPI", pin.name, pin.version, lock.name) for lock in locks for pin in locked(lock)]
    brought = [Part("npm", one["package"].lower(), one["version"], "vendored.toml") for one in vendored(vendor)]
    return [*dict.fromkeys(pinned), *brought]


def read_advisories(path: Path) -> Iterator[dict[str, Any]]:
    """Yield each advisory of a folder, of a zip archive or of a JSON file; withdrawn ones are left out.

    Raises:
        ValueError: If a file is no JSON, or not in the OSV form, with its name.
        OSError: If the path is not there or cannot be read.
    """
    for name, data in _files(path):
        try:
            found = json.loads(data)
        except ValueError as error:  # bytes that are no text are one, too
            raise ValueError(f"{name} is no JSON: {error}") from error
        if isinstance(found, dict) and "vulns" in found:  # as OSV's interface answers
            found = found["vulns"]
        for advisory in found if isinstance(found, list) else [found]:
            if not (isinstance(advisory, dict) and isinstance(advisory.get("id"), str)):
                raise ValueError(f"{name} is not an advisory in the OSV form: it has no id.")  # noqa: TRY004
            if not advisory.get("withdrawn"):
                yield advisory


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        yield from ((str(one), one.read_bytes()) for one in sorted(path.rglob("*.json")))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".json"):
                    if member.file_size > LARGEST:
                        raise ValueError(f"{member.filename} in {path} is larger than {LARGEST} bytes.")
                    yield f"{path}/{member.filename}", archive.read(member)
    else:
        yield str(path), path.read_bytes()


def concerns(advisory: Mapping[str, Any], by_name: Mapping[tuple[str, str], Sequence[Part]]) -> Iterator[Concern]:
    """Yield what an advisory has to say of our parts, which are found by ecosystem and name.

    Raises:
        ValueError: If the advisory is not in the OSV form.
    """
    said: dict[Part, Concern] = {}
    try:
        ids = (advisory["id"], *advisory.get("aliases", ()))
        for affected in advisory.get("affected", ()):
            for part in by_name.get(_package(affected), ()):
                verdict = _affects(affected, part.version)
                if verdict is not False and not (part in said and said[part].certain):
                    fixed = dict.fromkeys((*(said[part].fixed if part in said else ()), *_fixed(affected)))
                    summary = advisory.get("summary", "no summary")
                    said[part] = Concern(part, ids, summary, certain=verdict is True, fixed=tuple(fixed))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{advisory['id']} is not in the OSV form: {error!r}") from error
    yield from said.values()


def _package(affected: Mapping[str, Any]) -> tuple[str, str]:
    package = affected.get("package") or {"ecosystem": "", "name": ""}  # one that names a repository's commits alone
    ecosystem = package["ecosystem"].partition(":")[0]
    return ecosystem, canonicalize_name(package["name"]) if ecosystem == "PyPI" else package["name"].lower()


def _affects(affected: Mapping[str, Any], version: str) -> bool | None:
    """Say whether a version is affected; `None` if that cannot be told."""
    ours = Version(version)
    if any(_same(listed, ours) for listed in affected.get("versions", ())):
        return True
    ranges = [one for one in affected.get("ranges", ()) if one["type"] != "GIT"]
    try:
        if any(_within(one["events"], ours) for one in ranges):
            return True
    except InvalidVersion:
        return None
    return False if ranges or affected.get("versions") else None


def _same(listed: str, ours: Version) -> bool:
    try:
        return Version(listed) == ours
    except InvalidVersion:  # ours is a version, so this is another one
        return False


def _within(events: Sequence[Mapping[str, str]], ours: Version) -> bool:
    """Evaluate a range as the OSV schema describes it."""
    limits = [event["limit"] for event in events if event.get("limit", "*") != "*"]
    if limits and not any(ours < Version(limit) for limit in limits):
        return False
    turns = [(kind, event[kind]) for event in events for kind in _ORDER if kind in event]
    affected = False
    for kind, version in sorted(turns, key=_turn):
        if kind == "introduced" and (version == "0" or ours >= Version(version)):
            affected = True
        elif (kind == "fixed" and ours >= Version(version)) or (kind == "last_affected" and ours > Version(version)):
            affected = False
    return affected


def _turn(turn: tuple[str, str]) -> tuple[bool, Version, int]:
    kind, version = turn
    return version != "0", Version(version), _ORDER[kind]  # "0" comes before every version


def _fixed(affected: Mapping[str, Any]) -> Iterator[str]:
    for one in affected.get("ranges", ()):
        if one["type"] != "GIT":
            yield from (event["fixed"] for event in one["events"] if "fixed" in event)


def _told(concern: Concern) -> str:
    part = concern.part
    also = f" ({', '.join(concern.ids[1:])})" if concern.ids[1:] else ""
    verb = "concerns" if concern.certain else "may concern (its versions cannot be compared)"
    fixed = f"fixed in {', '.join(concern.fixed)}" if concern.fixed else "no fixed version is named"
    return f"{concern.ids[0]}{also} {verb} {part.name} {part.version} in {part.where}; {fixed}\n    {concern.summary}"


def main(arguments: Sequence[str]) -> int:
    """Look at the locks, print what concerns us and what to do, and return the exit status."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    locks = [Path(one) for one in arguments[1:]] or sorted({*ROOT.glob("*.lock")} - {ROOT / "lowest.lock"})
    accepted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"].get("volition", {})
    reasons: dict[str, str] = accepted.get("accepted-advisories", {})
    by_name: dict[tuple[str, str], list[Part]] = {}
    found: list[Concern] = []
    about_python, newest = 0, ""
    try:
        for part in parts(locks, ROOT / "src" / VENDOR):
            by_name.setdefault((part.ecosystem, part.name), []).append(part)
        for advisory in read_advisories(Path(arguments[0])):
            found += concerns(advisory, by_name)
            about_python += any(_package(one)[0] == "PyPI" for one in advisory.get("affected", ()))
            newest = max(newest, str(advisory.get("modified", "")))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not about_python:
        print(f"error: no advisory in {arguments[0]} is about a package for Python.", file=sys.stderr)
        return 2
    return _report(
        found, reasons, f"{about_python} advisories about packages for Python, the newest of {newest or '?'}"
    )


def _report(found: Sequence[Concern], reasons: Mapping[str, str], looked_at: str) -> int:
    print(f"Looked at {looked_at}.")
    pressing = 0
    for concern in found:
        print(_told(concern))
        why = next((reasons[one] for one in concern.ids if one in reasons), None)
        if why is None:
            pressing += 1
        else:
            print(f"    accepted: {why}")
    if pressing:
        print(
            f"{pressing} to look into. A package: `make lock UPGRADE=NAME`, and a higher floor in pyproject.toml if we"
        )
        print(
            "ask for it ourselves. A vendored file: take the fixed version, and tell of it in vendored.toml. If it does"
        )
        print("not concern us: a line in [tool.volition.accepted-advisories] of pyproject.toml, with the reason.")
        return 1
    print("No advisory concerns what the locks pin or the pages bring along, but those accepted above, if any.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
