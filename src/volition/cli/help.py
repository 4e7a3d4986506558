"""How help looks: plain text that loads in a moment, commands under headings, arguments by the names people use."""

from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from volition.cli.values import read_plainly

_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class PlainCommand(TyperCommand):
    """A command that starts in a moment, and whose help names its arguments without the program's own types."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - types that typer keeps to itself
        """Return the arguments and options, whose values are read plainly."""
        return read_plainly(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - types that typer keeps to itself
        """Write the arguments, then the options."""
        arguments: list[tuple[str, str]] = []
        options: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            name, text = parameter.get_help_record(ctx) or ("", "")
            if parameter.param_type_name == "argument":
                arguments.append((f"{parameter.metavar}{'' if parameter.nargs == 1 else '...'}", text))
            else:
                options.append((name, text))
        for title, lines in (("Arguments", arguments), ("Options", options)):
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)


class PlainGroup(TyperGroup):
    """Lists its commands under headings, in the order in which the headings first come."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as above
        """Return the options, whose values are read plainly."""
        return read_plainly(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Write one section for each heading."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            panels.setdefault(panel, []).append((name, command.get_short_help_str(limit=200)))
        for panel, lines in panels.items():
            with formatter.section(panel):
                formatter.write_dl(lines)


def group(about: str, *, epilog: str | None = None) -> typer.Typer:
    """Return a group of commands with plain help."""
    return typer.Typer(
        cls=PlainGroup,
        help=about,
        epilog=epilog,
        rich_markup_mode=None,
        add_completion=False,
        context_settings=_SETTINGS,
    )
