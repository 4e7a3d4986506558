"""The limits on an account's page: the lock of each switch, and limits for groups of its people.

A limit is set and lifted with one click or one short form, and can be undone like an answer. The people shown are those
whom administrators named; what any of them has answered is never shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from volition.consent.choices import Choice
from volition.consent.limits import LONGEST_NAME, GroupLimit, UseLimit, held_by
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import Entry
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Notice, Pages, Redirect, Undo, Visit

pages = Pages()
PATH: Final = "/account"
LIMITS: Final = f"{PATH}/limits"
_GROUPS: Final = 20  # on one page
_LISTED: Final = 50  # people of a group who are shown by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The lock of one switch.

    Attributes:
        action: Where it is sent.
        is_locked: Whether any of the switch is locked.
        can_lock: Whether not all of it is.
        detail: Since when it is locked and what that means, or what locking would do.
    """

    action: str
    is_locked: bool
    can_lock: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedUse:
    """One switch, or one use that is in none, as it is limited for a group.

    Attributes:
        switch: The switch's short name; empty for a use that is in none of them.
        title: What is limited.
        detail: For how many people, and since when.
    """

    switch: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A group of people for whom something is limited.

    Attributes:
        name: Its name.
        people: How many people it holds, in words.
        who: The people it holds, as far as they are listed.
        more: How many more there are, in words; empty for none.
        uses: What is limited.
    """

    name: str
    people: str
    who: tuple[str, ...]
    more: str
    uses: tuple[LimitedUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOption:
    """A switch to choose in the form."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """All that is limited for groups, and the form that limits more.

    Attributes:
        groups: The groups, by name.
        switches: What can be limited; none where the terms give the account no say.
        action: Where the forms are sent.
        longest: How long a group's name may be, in characters.
    """

    groups: Cut[GroupRow]
    switches: tuple[SwitchOption, ...]
    action: str
    longest: int


@pages.post(f"{PATH}/switches/{{switch}}/lock", roles=[Role.ADMINISTRATOR])
def lock(visit: Visit) -> Redirect:
    """Lock a switch, unlock it, or undo either."""
    account, workspace, switch = account_of(visit), visit.workspace, visit.path["switch"]
    title, to = _title(visit, switch), f"{PATH}#{switch}"
    if (undone := visit.undone) is not None:
        workspace.consent.undo_limit(account, switch, seq=undone)
        return Redirect(to=to, notice=Notice(text=f"{title}: everything is as it was before."))
    wanted = visit.form.get("lock")
    if wanted not in {"on", "off"}:
        raise InvalidInputError("A switch is either locked or unlocked. Reload the page and try again.")
    entries = workspace.consent.limit(account, switch=switch, limited=wanted == "on")
    text = (
        f"{title} is locked: a yes has no effect until it is unlocked."
        if wanted == "on"
        else f"{title} is unlocked: answers apply again, to data collected from now on."
    )
    return Redirect(to=to, notice=_notice(f"{PATH}/switches/{switch}/lock", text, entries))


@pages.post(LIMITS, roles=[Role.ADMINISTRATOR])
def limit(visit: Visit) -> Redirect:
    """Limit a switch for a group, lift a limit, or undo either."""
    account, workspace, switch = account_of(visit), visit.workspace, visit.form.get("switch", "")
    title = _title(visit, switch)
    if (undone := visit.undone) is not None:
        workspace.consent.undo_limit(account, switch, seq=undone)
        text = f"{title}: the limits are as they were before. Data collected while a limit was in force stays out."
        return Redirect(to=f"{PATH}#limits", notice=Notice(text=text))
    wanted, group = visit.form.get("limit"), visit.form.get("group", "").strip()
    people = [line.strip() for line in visit.form.get("people", "").splitlines() if line.strip()]
    if wanted not in {"on", "off", "some"}:
        raise InvalidInputError("A limit is either set or lifted. Reload the page and try again.")
    if not group:
        raise InvalidInputError("Name the group to limit, such as a team.")
    if wanted == "some" and not people:
        raise InvalidInputError("Name the people for whom to lift the limit, one per line.")
    entries = workspace.consent.limit(account, switch=switch, group=group, people=people, limited=wanted == "on")
    count = _people(sum(len(entry.body["people"]) for entry in entries))
    text = {
        "on": f"{title} is limited for {count} in {group}: a yes has no effect for them until the limit is lifted.",
        "off": f"{title} is no longer limited for {group}; this applies to data collected from now on.",
        "some": f"{title} is no longer limited for {count} in {group}; this applies to data collected from now on.",
    }[wanted]
    return Redirect(to=f"{PATH}#limits", notice=_notice(LIMITS, text, entries, switch=switch))


def account_of(visit: Visit) -> str:
    """Return the account whose administrator visits."""
    if visit.who.account is None:
        raise RefusedError("You are not the administrator of an account here. The operator gives that role.")
    return visit.who.account


def lock_of(choice: Choice, limits: Sequence[GroupLimit], name: str) -> Lock | None:
    """Return the lock of a switch; none where the terms do not let the account choose."""
    if not choice.has_say:
        return None
    uses = next((group.uses for group in limits if not group.name), {})
    leaves = [(line.category, line.purpose) for line in choice.lines]
    held = [uses[leaf] for leaf in leaves if leaf in uses]
    if not held:
        detail = (
            "If you lock it, it stays off, whatever anyone answers and whatever new terms say, until an administrator "
            "unlocks it. Data collected in the meantime stays out. Each person's own no still applies."
        )
    else:
        part = "Locked" if len(held) == len(leaves) else "Partly locked"
        detail = (
            f"{part} for {name} since {_since(held)}. A yes has no effect until it is unlocked, even under new terms. "
            "Each person's own no still applies."
        )
    return Lock(
        action=f"{PATH}/switches/{choice.switch.name}/lock",
        is_locked=bool(held),
        can_lock=len(held) < len(leaves),
        detail=detail,
    )


def groups_of(visit: Visit, choices: Sequence[Choice], limits: Sequence[GroupLimit]) -> GroupLimits:
    """Return what is limited for groups of the account's people."""
    return GroupLimits(
        groups=cut(
            visit,
            [group for group in limits if group.name],
            of="group",
            size=_GROUPS,
            name="groups",
            find=lambda group: group.name,
        ).each(lambda group: _row(visit, choices, group)),
        switches=tuple(
            SwitchOption(name=choice.switch.name, title=words.switch_title(choice))
            for choice in choices
            if choice.has_say
        ),
        action=LIMITS,
        longest=LONGEST_NAME,
    )


def _row(visit: Visit, choices: Sequence[Choice], group: GroupLimit) -> GroupRow:
    workspace = visit.workspace
    held = held_by(workspace.history(), account=account_of(visit), group=group.key, at_us=workspace.now_us)
    found = [workspace.parties.person_by_pseudonym(party.removeprefix("person:")) for party in held[:_LISTED]]
    names = ["a person who was erased" if person is None else person.name or person.id for person in found]
    more = len(held) - len(names)
    uses = [
        LimitedUse(switch=choice.switch.name, title=words.switch_title(choice), detail=_details(inside))
        for choice in choices
        if (inside := [held for (_, purpose), held in group.uses.items() if purpose in choice.purposes])
    ]
    in_none = {purpose for _, purpose in group.uses} - {purpose for choice in choices for purpose in choice.purposes}
    uses += [
        LimitedUse(
            switch="",
            title=words.purpose(purpose).title,
            detail=_details([held for (_, limited), held in group.uses.items() if limited == purpose]),
        )
        for purpose in words.vocabulary().purposes
        if purpose in in_none
    ]
    return GroupRow(
        name=group.name,
        people=_people(group.people),
        who=tuple(sorted(names)),
        more=f"and {more:,} more" if more else "",
        uses=tuple(uses),
    )


def _details(held: Sequence[UseLimit]) -> str:
    return f"for {_people(max(one.people for one in held))}, since {_since(held)}"


def _since(held: Sequence[UseLimit]) -> str:
    first = min(held, key=lambda one: (one.since_us, one.seq))
    return f"{words.moment(first.since_us)} (entry {first.seq:,})"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def _notice(action: str, text: str, entries: Sequence[Entry], **fields: str) -> Notice:
    first = entries[0].seq
    detail = f"{text} It is recorded as entry {first:,} of the ledger."
    return Notice(text=detail, undo=Undo(action=action, fields={"undo": str(first), **fields}))


def _title(visit: Visit, switch: str) -> str:
    account = account_of(visit)
    choice = visit.workspace.consent.choices(f"account:{account}", account=account).of(switch)
    return switch if choice is None else words.switch_title(choice)
