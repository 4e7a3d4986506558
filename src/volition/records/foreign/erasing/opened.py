"""Which of the kinds of tables one is."""

from volition.errors import InvalidInputError
from volition.records.foreign.erasing.delta import ErasableDelta
from volition.records.foreign.erasing.iceberg import ErasableIceberg
from volition.records.foreign.erasing.outcome import ErasableTable
from volition.records.foreign.erasing.whom import WhoseColumns

FORMS = ("delta", "iceberg")
"""Of what form a table may be."""


def erasable(form: str, place: str, whose: WhoseColumns) -> ErasableTable:
    """Return a table from which rows can be erased.

    Args:
        form: One of `FORMS`.
        place: A folder or URL; of Iceberg the catalogue, the namespace and the name, with dots between.
        whose: Which of its columns say whose a row is.

    Raises:
        InvalidInputError: There is no such form.
        MissingExtraError: What reads it is not installed.
    """
    if form == "delta":
        return ErasableDelta(place, whose)
    if form == "iceberg":
        return ErasableIceberg(place, whose)
    msg = f"There is no form {form!r}. Name one of: {', '.join(FORMS)}."
    raise InvalidInputError(msg)
