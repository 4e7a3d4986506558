"""A hook of MkDocs: the decision records of docs/decisions, in their order, become the site's last section.

Other pages are named in mkdocs.yml by hand, since their order says something; a page that is named nowhere fails the
build.
"""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:  # noqa: ANN401 - MkDocs is not there where types are checked
    """Fill the section "Decisions"."""
    folder = Path(config["docs_dir"]) / "decisions"
    pages = [f"decisions/{path.name}" for path in sorted(folder.glob("*.md"))]
    [section] = [section for section in config["nav"] if "Decisions" in section]
    section["Decisions"] = pages
    return config
