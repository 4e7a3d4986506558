"""The controller (GDPR article 4(7)): who decides what data is used for, as receipts and published documents name it.

It is the table `[controller]` of volition.toml; whatever it does not say is left out of documents, and never made up.

    [controller]
    name = "Acme Ltd"
    contact = "privacy@acme.example"
    address = "1 Main Street, Dublin"
    jurisdiction = "IE"
    language = "en"
    url = "https://privacy.acme.example/settings"
    license = "proprietary"
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self

from volition.consent.terms.regions import check_region
from volition.consent.terms.toml_file import FaultError, Section
from volition.errors import InvalidInputError

_LONGEST: Final = 300
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # RFC 5646, as far as anyone writes it
_WEB: Final = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """What is said of the controller; none for what is not.

    Attributes:
        name: The legal name.
        contact: A mail address, or where else to write.
        address: The postal address, in one line.
        jurisdiction: The country or subdivision whose law applies, such as "IE" or "US-CA".
        language: The language of terms and notices, such as "en" or "pt-BR".
        url: Where people answer and exercise their rights.
        license: Under which licence released models are handed on, as Hugging Face names it.
    """

    name: str | None = None
    contact: str | None = None
    address: str | None = None
    jurisdiction: str | None = None
    language: str | None = None
    url: str | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not stand in a document.

        Raises:
            FaultError: A text is empty, too long or more than one line, or the region, language or address is none.
        """
        for key, text in asdict(self).items():
            if text is None:
                continue
            if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST or not text.isprintable():
                raise FaultError((key,), f'"{key}" must be one line of 1 to {_LONGEST} characters.')
        if self.jurisdiction is not None:
            try:
                check_region(self.jurisdiction)
            except InvalidInputError as error:
                raise FaultError(("jurisdiction",), str(error)) from error
        if self.language is not None and not _LANGUAGE.fullmatch(self.language):
            raise FaultError(("language",), '"language" must be a language such as "en" or "pt-BR".')
        if self.url is not None and not _WEB.fullmatch(self.url):
            raise FaultError(("url",), '"url" must begin with https:// or http://.')

    @classmethod
    def from_toml(cls, table: object) -> Self:
        """Read the table, strictly.

        Raises:
            FaultError: A key is unknown, or holds what it cannot.
        """
        section = Section(table, (), required=(), optional=set(cls.__slots__))
        return cls(**{key: section.text(key) for key in section.value})

    def to_json(self) -> dict[str, str]:
        """Return what is said as a JSON object; `from_json` reads it back unchanged."""
        return {key: text for key, text in asdict(self).items() if text is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: It has other members, or one that holds what it cannot.
        """
        if not isinstance(value, Mapping) or not set(value) <= set(cls.__slots__):
            raise InvalidInputError(f"A controller has no more than {', '.join(cls.__slots__)}.")
        return cls(**value)


UNNAMED: Final = Controller()
"""Nothing is said of the controller."""
