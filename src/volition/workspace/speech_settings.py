"""What the table [speech] of `volition.toml` may say: with which weights recordings are transcribed."""

from dataclasses import dataclass
from typing import Self

from volition.consent.terms.toml_file import FaultError, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSettings:
    """With what recordings are transcribed.

    Attributes:
        weights: A folder with weights of Whisper as CTranslate2 reads them, from the workspace on.
    """

    weights: str

    @classmethod
    def from_toml(cls, table: object) -> Self:
        """Read the table, strictly.

        Raises:
            FaultError: A key is missing, unknown, or holds what it cannot.
        """
        section = Section(table, (), required={"weights"}, optional=set())
        if not section.text("weights").strip():
            raise FaultError(("weights",), '"weights" is empty. Name a folder, or take the table out.')
        return cls(weights=section.text("weights"))
