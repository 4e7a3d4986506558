"""Names heard in an account's meetings that may be its people, for its administrator: the same, or somebody else?

It is the operator's page (`console.people`) with the own account's people alone.
"""

from typing import Final

from volition.server.auth import Role
from volition.server.web.account.limits import account_of
from volition.server.web.console.people import PeoplePage, people_page, take_answer
from volition.server.web.page import Nav, Pages, Redirect, Visit

pages = Pages()

PATH: Final = "/account/people"


@pages.get(PATH, roles=[Role.ADMINISTRATOR], template="people.html", nav=Nav(label="People", place=6))
def show(visit: Visit) -> PeoplePage:
    """Show the pairs of the account."""
    return people_page(visit, account=account_of(visit), action=PATH)


@pages.post(PATH, roles=[Role.ADMINISTRATOR], is_final=True)
def answer(visit: Visit) -> Redirect:
    """Take what the administrator says of a pair of the own account."""
    account = account_of(visit)
    return take_answer(visit, account=account, page=PATH, by=visit.who.person or f"account:{account}")
