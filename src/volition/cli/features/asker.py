"""Who asks, the option that the commands of the features take."""

from typing import Annotated

import typer

PANEL = "Use"

Asker = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who asks; they see what they may see.")]
