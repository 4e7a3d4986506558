"""Commands of other packages: found by their entry point, and loaded only where one is called.

    [project.entry-points."volition.commands"]
    weather = "acme_weather.commands:register"

The entry point's name is the command's. It names a function that gets a Typer app and adds the command to it, as the
modules here do. No package takes the name of a command of Volition, and one that is broken hinders no other command.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import typer.main
from typer.core import TyperGroup

from volition.cli.help import group
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "volition.commands"
"""The group of entry points."""


def add_called(root: TyperGroup, arguments: Sequence[str]) -> None:
    """Add the command that is called to those there are, where another package has it.

    Args:
        root: The commands that there are.
        arguments: The command line without the program's name.

    Raises:
        InvalidInputError: The package cannot be loaded, or adds no command of that name.
    """
    if not arguments or arguments[0].startswith("-") or arguments[0] in root.commands:
        return  # looking through what is installed takes time, so it is done for no command of our own
    from importlib.metadata import entry_points  # noqa: PLC0415 - it takes longer to load than --help to print

    for point in entry_points(group=GROUP, name=arguments[0]):
        _add(root, point)
        return


def _add(root: TyperGroup, point: "EntryPoint") -> None:
    package = "a package" if point.dist is None else f"the package {point.dist.name}"
    app = group(f"Commands of {package}.")
    try:
        point.load()(app)
        found = typer.main.get_group(app).commands
        root.add_command(found[point.name], point.name)
    except Exception as error:  # whatever a foreign package raises, it is that command's fault alone
        msg = (
            f"The command {point.name!r} of {package} cannot be loaded: {error!r}. Repair that package or reinstall it."
        )
        raise InvalidInputError(msg) from error
