"""Characters that turn the direction of text around (bidirectional controls): a page does not show them.

See `consent.invisible`. The values of forms keep them, since they have to find what they name.
"""

import re
from typing import Final

from volition.consent.invisible import has_turning, without_turning

_TEXT: Final = re.compile(r">[^<]+")


def page_without_turning(html: str) -> str:
    """Return a page whose text, but for the attributes of its elements, holds no such character."""
    return _TEXT.sub(lambda text: without_turning(text[0]), html) if has_turning(html) else html
