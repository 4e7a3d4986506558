"""The lake for the operator: how many records of which kind, and what was set aside and why; never their content."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from volition.server.auth import Role
from volition.server.reading import NOBODY
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Nav, Pages, Visit

pages = Pages()

PATH: Final = "/console/lake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many records there are of something."""

    name: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideLine:
    """What was set aside for one reason, from one source; never its content."""

    source: str
    why: str
    pieces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LakePage:
    """The lake in counts.

    Attributes:
        title: The page's heading.
        total: How many records there are.
        categories: Records by category.
        accounts: Records by account, the most first.
        small_files: How many small files compaction would join.
        aside: What was set aside, the most first.
    """

    title: str
    total: int
    categories: tuple[Count, ...]
    accounts: Cut[Count]
    small_files: int
    aside: Cut[AsideLine]


@pages.get(PATH, roles=[Role.OPERATOR], template="console-lake.html", nav=Nav(label="Lake", place=230), reads=NOBODY)
def show(visit: Visit) -> LakePage:
    """Show how many records the lake holds."""
    stock = visit.workspace.records.stock()
    names = {account.id: account.name for account in visit.workspace.parties.accounts()}
    aside = Counter((line.source, line.why) for line in visit.workspace.records.set_aside())
    return LakePage(
        title="Lake",
        total=sum(stock.categories.values()),
        categories=tuple(Count(name=words.category(name), records=count) for name, count in stock.categories.items()),
        accounts=cut(
            visit,
            [
                Count(name=names.get(account, account), records=count)
                for account, count in sorted(stock.accounts.items(), key=lambda item: (-item[1], item[0]))
            ],
            of="account",
            name="accounts",
            find=lambda one: one.name,
        ),
        small_files=stock.small_files,
        aside=cut(visit, aside.most_common(), of="source", name="aside", find=lambda one: "\n".join(one[0])).each(
            lambda one: AsideLine(source=one[0][0], why=one[0][1], pieces=one[1])
        ),
    )
