"""A hook of MkDocs: sections of the site that follow from the folder.

The decision records of docs/decisions, in their order, become the section "Decisions". A page that mkdocs.yml names
nowhere is listed under "More", so that none is lost: give it a place there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:  # noqa: ANN401 - MkDocs is not there where types are checked
    """Fill "Decisions", and list what has no place."""
    docs = Path(config["docs_dir"])
    [section] = [section for section in config["nav"] if "Decisions" in section]
    section["Decisions"] = [f"decisions/{path.name}" for path in sorted((docs / "decisions").glob("*.md"))]
    placed = set(_pages(config["nav"]))
    rest = sorted({path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - placed)
    if rest:
        config["nav"].append({"More": rest})
    return config


def _pages(section: Any) -> Iterator[str]:  # noqa: ANN401 - lists in dicts in lists
    """Yield every page that a part of the navigation names."""
    if isinstance(section, str):
        yield section
    else:
        for part in section.values() if isinstance(section, dict) else section:
            yield from _pages(part)
