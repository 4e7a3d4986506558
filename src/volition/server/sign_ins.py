"""Sign-ins and erasure: what `web.db` keeps of a person who is erased, wherever the erasure is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from volition.consent.parties import ErasedError, Parties, open_stores
from volition.errors import InvalidInputError
from volition.server.api.idempotency import StoredAnswers
from volition.server.auth import Access
from volition.server.notices.outbox import Outbox
from volition.server.notices.shown import ShownNotices


@contextmanager
def open_sign_ins(folder: Path) -> Iterator[Access | None]:
    """Open where people sign in to a workspace's server; none where no server ever ran in its folder.

    Raises:
        BackendError: The file is there and cannot be opened, or was lost.
    """
    if not (folder / "web.db").exists():
        with open_stores(folder) as stores:
            if stores is not None:
                stores.check(folder / "web.db")
        yield None
        return
    access = Access.open(folder)
    try:
        for keeper in (StoredAnswers, ShownNotices, Outbox):
            keeper(access.database)  # which forgets whoever is erased
        yield access
    finally:
        access.close()


def end_sign_ins_of_erased(access: Access, parties: Parties) -> None:
    """Erase the sign-ins of people who were erased where nobody knew of the server: by a program, or before."""
    for user in access.users.all():
        if user.person is None:
            continue
        try:
            parties.person(user.person)
        except ErasedError:
            access.erase_person(user.person, [user.user, user.name])
        except InvalidInputError:
            continue
