"""The documents that there are, by the name of the format, and the file that each is written to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from volition.learning.documents.cyclonedx import bill_of_materials
from volition.learning.documents.eu_summary import training_content
from volition.learning.documents.facts import Facts
from volition.learning.documents.hugging_face import model_card


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A form of document.

    Attributes:
        title: What it is called on pages.
        file: The file that it is written to.
        media_type: What it is served as.
        write: Writes it.
    """

    title: str
    file: str
    media_type: str
    write: Callable[[Facts], bytes]


FORMATS: Final[Mapping[str, Format]] = {
    "hugging-face": Format(
        title="Model card for model hubs (Hugging Face)", file="README.md", media_type="text/markdown", write=model_card
    ),
    "cyclonedx": Format(
        title="Bill of materials (CycloneDX 1.6 ML-BOM)",
        file="bom.cdx.json",
        media_type="application/vnd.cyclonedx+json",
        write=bill_of_materials,
    ),
    "eu-summary": Format(
        title="Summary of training content (EU AI Act)",
        file="training-content.md",
        media_type="text/markdown",
        write=training_content,
    ),
}
"""Every format, by its name."""
