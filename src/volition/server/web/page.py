"""What a page is: a function from a visit to one frozen dataclass, the roles that may see it, and a template.

    @pages.get("/settings", template="settings.html", roles=[Role.PERSON], nav=Nav(label="AI settings", place=10))
    def show(visit: Visit) -> SettingsPage: ...

    @pages.post("/settings/{switch}", roles=[Role.PERSON])
    def answer(visit: Visit) -> Redirect: ...

- A template sees two names: `page`, the dataclass, and `chrome`, what surrounds every page.
- A function runs in a thread of its own and may take its time; `visit.workspace` is its alone meanwhile.
- A request that changes something is answered with a `Redirect`, so that it works without JavaScript and reloading
  repeats nothing; a notice for the next page goes with it.
- A `VolitionError` becomes a page that says what happened and what to do.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from volition.canonical import whole_number
from volition.consent.lease import Settling
from volition.errors import InvalidInputError
from volition.server.auth import Access, Principal, Role
from volition.server.followers import Followers
from volition.server.jobs import Jobs
from volition.server.notices.outbox import Outbox
from volition.server.notices.shown import ShownNotices
from volition.server.settings import ServerSettings
from volition.workspace import Workspace
from volition.workspace.pool import Lane, Workspaces

NOBODY: Final = Principal(user="", name="", roles=frozenset(), scopes=frozenset())
"""A visitor who has not signed in."""


class View(Protocol):
    """What every page's dataclass has."""

    @property
    def title(self) -> str:
        """What the page is called, in its heading and in the browser's tab."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """The state of something in a word, and by a colour that is never alone.

    Attributes:
        word: Such as "Used".
        is_on: Whether it is used, at work, or in force.
    """

    word: str
    is_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How what was just done is undone: a form with one button.

    Attributes:
        action: Where it is sent.
        fields: What is sent.
        label: What the button says.
    """

    action: str
    fields: Mapping[str, str]
    label: str = "Undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is shown once, on top of the next page.

    Attributes:
        text: The sentence.
        undo: How it is undone; none where it cannot be, or there is nothing to undo.
    """

    text: str
    undo: Undo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Go to another page, which then shows the notice if it is one of ours."""

    to: str
    notice: Notice | None = None
    session: str | None = None  # begin this one; an empty text ends it
    trip: str | None = None  # keep this in the browser while its user is on the way in
    device: str | None = None  # keep this in the browser in which somebody signed in


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to download; one that may be large comes piece by piece."""

    name: str
    data: bytes | Iterator[bytes]
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """Sound to play in the page: a browser asks for a range of it at a time (RFC 9110, section 14)."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """An answer to a program that speaks to a page's route: a status and a sentence."""

    status: int
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event: its name and its HTML; see `Live`."""

    name: str
    html: str

    def to_text(self) -> str:
        """Return the event as it is sent."""
        named = f"event: {self.name}\n" if self.name else ""
        data = "\n".join(f"data: {line}" for line in self.html.splitlines())
        return f"{named}{data}\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Server-sent events, as texts, for as long as `events` yields; it waits in the event loop in between."""

    events: AsyncIterator[str]


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request for a page.

    Attributes:
        who: Who visits; `NOBODY` on pages that ask for no role.
        navigation: The pages of the navigation that they may see, in order.
        path: What the path's braces stand for.
        query: The address's query; of repeated names the last.
        form: What a form sent, likewise.
        access: Who can sign in.
        shown: To whom notices of new terms were shown.
        outbox: The mails, sent and to be sent.
        settings: How the server is set up.
        session: The session's secret; none without one.
        trip: What was kept in the browser while its user was on the way in; none otherwise.
        address: The client's address.
        host: The server's name as the client wrote it.
        is_secure: Whether it came by https.
        device: What was kept in a browser in which somebody signed in before; none otherwise.
        agent: The browser, in two words; empty where it is not known.
        zone: The browser's time zone, as it says itself; empty where it does not. `zones.zone_of` checks it.
        ranges: Which bytes of the answer are asked for, as the client wrote it; empty for all of them.
        is_forwarded: Whether anything says that the request passed a proxy.
        jobs: The server's background jobs.
        followers: All who follow one of them.
        workspaces: Where `workspace` comes from.
        lane: What it is for.
        settling: What is waited for before the answer is sent; `take_answer` and the like let it collect.
    """

    who: Principal
    navigation: Sequence["PageRoute"]
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    access: Access
    shown: ShownNotices
    outbox: Outbox
    settings: ServerSettings
    session: str | None
    trip: str | None
    address: str
    host: str
    is_secure: bool
    device: str | None
    agent: str
    zone: str
    ranges: str
    is_forwarded: bool
    jobs: Jobs
    followers: Followers
    workspaces: Workspaces
    lane: Lane
    settling: Settling = field(default_factory=Settling)
    _stack: ExitStack = field(default_factory=ExitStack)
    _workspace: Workspace | None = None

    @property
    def workspace(self) -> Workspace:
        """The workspace, this visit's alone until the page is made.

        Raises:
            OverloadedError: Everything was busy for too long.
        """
        if self._workspace is None:
            self._workspace = self._stack.enter_context(self.workspaces.borrow(self.lane))
        return self._workspace

    @property
    def undone(self) -> int | None:
        """The number of the ledger entry that the form asks to undo; none if it asks for nothing of the kind.

        Raises:
            InvalidInputError: It names no entry.
        """
        if (text := self.form.get("undo")) is None:
            return None
        if (seq := whole_number(text)) is None:
            raise InvalidInputError("This entry cannot be undone. Reload the page and try again.")
        return seq

    def close(self) -> None:
        """Give back what was borrowed."""
        self._workspace = None
        self._stack.close()


Result = View | Redirect | Download | Playback | Live | Plain
Handler = Callable[[Visit], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nav:
    """A page's place in the navigation.

    Attributes:
        label: What it is called there.
        place: Its order; low comes first. Its hundreds say in which of `AREAS` it is.
    """

    label: str
    place: int


AREAS: Final[Mapping[int, str]] = {0: "Your data and AI", 1: "Account", 2: "Console", 3: "Meetings and chat"}
"""The areas of the navigation, by the hundreds of a page's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoute:
    """One route of the pages.

    Attributes:
        method: "GET" or "POST".
        path: The path, with braces where it varies.
        roles: The roles that may see it, any one of them; none for everybody, signed in or not.
        template: What renders the dataclass; none for a route that answers with something else.
        nav: Its place in the navigation; none where it has none.
        handler: Makes the dataclass.
        is_kept: Whether what was drawn is kept for as long as it would look the same. Only for pages that show nobody's
            words, since what is kept stays in memory.
        takes_document: Whether its form may be as long as a JSON document.
        is_part: Whether it is put into a page that is open. It leaves a notice for the next whole page.
        reads: What of people's data staff read by it (`server.reading`); each page of theirs says so.
        is_final: Whether it cannot be undone, or asks for what cannot: whoever showed long ago who they are is asked
            again, and comes back.
    """

    method: str
    path: str
    roles: frozenset[Role] | None
    template: str | None
    nav: Nav | None
    handler: Handler
    is_kept: bool = False
    takes_document: bool = False
    is_part: bool = False
    reads: str | None = None
    is_final: bool = False


EVERYBODY: Final = None
"""As `roles`: also those who have not signed in."""


class Pages:
    """The routes of one module."""

    def __init__(self) -> None:
        """Begin without any."""
        self._pages: list[PageRoute] = []

    def get(  # noqa: PLR0913 - a page's own fields
        self,
        path: str,
        *,
        roles: Iterable[Role] | None,
        template: str | None = None,
        nav: Nav | None = None,
        is_kept: bool = False,
        reads: str | None = None,
        is_final: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Make a function a page; without a template it answers with a `Redirect`, a `Download` or `Live`."""
        return self._add("GET", path, roles, template, nav, is_kept=is_kept, reads=reads, is_final=is_final)

    def post(  # noqa: PLR0913 - a page's own fields
        self,
        path: str,
        *,
        roles: Iterable[Role] | None,
        template: str | None = None,
        takes_document: bool = False,
        is_part: bool = False,
        is_final: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Make a function what a form is sent to; a template is only for forms that are shown again, and for parts."""
        return self._add(
            "POST",
            path,
            roles,
            template,
            None,
            takes_document=takes_document,
            is_part=is_part,
            is_final=is_final,
        )

    def _add(  # noqa: PLR0913 - a page's own fields
        self,
        method: str,
        path: str,
        roles: Iterable[Role] | None,
        template: str | None,
        nav: Nav | None,
        *,
        is_kept: bool = False,
        takes_document: bool = False,
        is_part: bool = False,
        reads: str | None = None,
        is_final: bool = False,
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            wanted = None if roles is None else frozenset(roles)
            self._pages.append(
                PageRoute(
                    method=method,
                    path=path,
                    roles=wanted,
                    template=template,
                    nav=nav,
                    handler=handler,
                    is_kept=is_kept,
                    takes_document=takes_document,
                    is_part=is_part,
                    reads=reads,
                    is_final=is_final,
                )
            )
            return handler

        return add

    def __iter__(self) -> Iterator[PageRoute]:
        """Yield every route."""
        return iter(self._pages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One entry of the navigation."""

    label: str
    href: str
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """New terms, as the notice on top of every page tells of them.

    Attributes:
        terms: Their id.
        heading: What is new, and from when on.
        binding: How they come to be in force, in a sentence.
        changes: What they newly allow or ask, a sentence each.
        more: What else there is to read, in a sentence; empty where nothing is.
        read: Where they are read.
    """

    terms: str
    heading: str
    binding: str
    changes: tuple[str, ...]
    more: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsNotice:
    """The notice of new terms, on top of every page until it is put away.

    Attributes:
        versions: What is new, the version that comes last on top.
        links: What can be done.
    """

    versions: tuple[NewVersion, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chrome:
    """What surrounds every page.

    Attributes:
        site: The service's name.
        who: Who visits; none if nobody signed in.
        roles: Their roles, in words.
        belongs_to: The name of their account; empty where there is none.
        areas: The areas that they may see, each with its first page.
        nav: The pages of the area that this page is in; of the first area where it is in none.
        notice: What is shown once.
        new_terms: New terms that the visitor has to know of; none where there are none.
        is_demo: Whether anyone on this machine may sign in with a click.
        path: The path of this page.
    """

    site: str
    who: Principal | None
    roles: str
    belongs_to: str
    areas: Sequence[Link]
    nav: Sequence[Link]
    notice: Notice | None
    new_terms: TermsNotice | None
    is_demo: bool
    path: str
