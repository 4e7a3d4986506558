"""What the tables [training.NAME] of `volition.toml` may say: how models of one's own forget.

    [training.churn]
    forget = "python retrain.py --without {list} --snapshot {snapshot}"
    approximate = false   # true: the command unlearns from the old model instead of training again
    timeout_s = 3600

The command runs without a shell, in the workspace's folder: it is cut into arguments as a shell would cut it, and then
what stands in braces is filled in, so that no file name is ever read as an argument of its own. `{list}` is a file with
the ids of the rows to forget, `{snapshot}` what is left to learn from, `{model}` the model that must forget,
`{workspace}` the workspace's folder.
"""

import shlex
from dataclasses import dataclass
from typing import Final

from volition.consent.terms.toml_file import FaultError, Section
from volition.learning.families.installed import BUILT_IN
from volition.learning.families.spec import FAMILY_NAME
from volition.learning.grades import Grade

_TIMEOUT_S: Final = 3600
_LONGEST_S: Final = 30 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How the models of one training of one's own forget.

    Attributes:
        command: The arguments of the command that makes a model without some rows; none where models are retired.
        approximate: Whether it unlearns approximately, which an attack then measures.
        timeout_s: How long it may run, in seconds.
    """

    command: tuple[str, ...] = ()
    approximate: bool = False
    timeout_s: int = _TIMEOUT_S

    @property
    def grade(self) -> Grade:
        """How surely its models forget."""
        if not self.command:
            return Grade.RETIRED
        return Grade.APPROXIMATE if self.approximate else Grade.RETRAINED


RETIRED: Final = TrainingSettings()
"""Of a training of which the settings say nothing."""


def read_trainings(table: object) -> dict[str, TrainingSettings]:
    """Read the tables, strictly.

    Raises:
        FaultError: A name cannot name a training, or a key is unknown or holds what it cannot.
    """
    if not isinstance(table, dict):
        raise FaultError((), "expected a table for each training, such as [training.NAME].")
    for name in table:
        if name in BUILT_IN or not FAMILY_NAME.fullmatch(name):
            raise FaultError((name,), f"{name!r} cannot name a training of your own: use a-z, 0-9, _, and no family.")
    trainings = Section(table, (), required=set(), optional=set(table))
    optional = {"forget", "approximate", "timeout_s"}
    return {name: _read(trainings.section(name, required=set(), optional=optional)) for name in table}


def _read(section: Section) -> TrainingSettings:
    try:
        command = tuple(shlex.split(section.optional_text("forget") or ""))
    except ValueError as error:
        raise FaultError((*section.path, "forget"), f'"forget" cannot be cut into arguments: {error}.') from error
    timeout_s = section.integer("timeout_s", _TIMEOUT_S)
    if not 1 <= timeout_s <= _LONGEST_S:
        raise FaultError((*section.path, "timeout_s"), f'"timeout_s" must be from 1 to {_LONGEST_S} seconds.')
    approximate = section.boolean("approximate", default=False)
    if approximate and not command:
        raise FaultError((*section.path, "approximate"), '"approximate" takes a command: write "forget", too.')
    return TrainingSettings(command=command, approximate=approximate, timeout_s=timeout_s)
