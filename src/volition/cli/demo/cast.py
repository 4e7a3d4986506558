"""Who is in the story, who says what, and what they ask for."""

from typing import Final

from volition.learning.release import Override
from volition.server.auth import Access, Role

ORIGIN: Final = "volition.example/demo"
FAMILIES: Final = ("search", "recommend", "summary", "compose")
"""Whose story it is; there are more."""

ASKER: Final = "helio-mara"
QUERY: Final = "why do the stem bolts come loose"
TYPED: Final = "I th"
SUMMARISED: Final = ("brannock-clinic-no-shows", "brannock-devika")
NEWCOMER: Final = "lantern-yuki"
LEAVER: Final = "copper"
LEAVER_ASKER: Final = "copper-wanda"

# Who says what. Anyone who is asked and not named here says yes.
ASKED_EACH: Final = ("helio", "brannock")  # where the terms ask each person, too
SILENT: Final = 5  # every fifth user there says nothing
GUEST_WHO_SAYS_YES: Final = ("lantern", "Rosalind Achterberg")
GUEST_WHO_WAS_NOT_ASKED: Final = ("brannock", "Keiran Boothe", "brannock-system-cutover")
NO_TO_SUMMARY_TRAINING: Final = ("helio-tadeusz", "Tadeusz Wrona")
NO_TO_USAGE_TRAINING: Final = ("copper-u3", "copper-u8", "copper-u21", "lantern-u5")
NO_TO_BEING_QUOTED: Final = ("brannock-hattie", "Hattie Blackwood")
LATE: Final = ("lantern", 14)  # says yes from this day on, not to the days before

ANSWERS: Final = Override(by="Noor Haddad", why="A pilot with four customers, who know it.")
"""Who answers for a release that misses a bound."""


def let_in(access: Access) -> None:
    """Add the users as whom a click signs in, where the demo's workspace is served; see `signin`."""
    roles = {
        Role.PERSON: ("Mara Lindqvist", "helio", ASKER),
        Role.ADMINISTRATOR: ("Administrator of Helio", "helio", None),
        Role.ENGINEER: ("Engineer", None, None),
        Role.AUDITOR: ("Auditor", None, None),
        Role.OPERATOR: ("Operator", None, None),
    }
    for role, (name, account, person) in roles.items():
        if access.users.find(f"demo-{role}") is None:
            access.users.add(f"demo-{role}", roles=[role], name=name, account=account, person=person)
