"""Markdown as HTML for pages: what the operator wrote as terms, and nothing that a page must not hold.

HTML in the text is shown as text, pictures are not fetched (they would tell another host who reads the terms), and
headings begin one level lower, since a page has a heading of its own.
"""

from functools import cache
from typing import Final

from markdown_it import MarkdownIt
from markupsafe import Markup

_LOWEST: Final = 6


def to_html(text: str) -> Markup:
    """Return a text in CommonMark, with tables, as HTML that is safe to show."""
    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + 1, _LOWEST)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - HTML in it was escaped


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
