"""The courier: writes mails as the ledger grows and sends what is queued, in a thread of the server.

- One process of a folder sends at a time (a lock on a file, which ends with the process), so nothing is sent by two.
- A mail that was taken is noted at once. Killed between the two, it may be sent again: with the same Message-ID, by
  which it is known as the same mail. The other order would lose mails.
- While the mail server is not reached everything waits, longer each time; what is refused for good is not repeated.
- An answer rests for a minute before a mail tells of it, so that several clicks, or an undo, make one mail or none.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from volition.errors import VolitionError
from volition.ledger.entry import Entry
from volition.server.auth import Access
from volition.server.mail.letters import Writer
from volition.server.mail.occasions import Occasions
from volition.server.mail.recipients import Recipients
from volition.server.mail.smtp import connect
from volition.server.notices.outbox import MailKind, MailState, Outbox
from volition.server.notices.reminders import EVERY_US
from volition.server.repeating import Repeating
from volition.server.settings import ServerSettings
from volition.server.web import labels as words
from volition.workspace.mail_settings import MailSettings
from volition.workspace.pool import Workspaces

TROUBLE: Final = "mail trouble"
"""State of `web.db`: why the mail server was not reached last, and when; empty once it was."""

SETTLE_US: Final = 60 * 1_000_000
"""How long an entry rests before a mail tells of it, microseconds."""

_INVITED: Final = "mail invited"
_REMINDED: Final = "mail reminded"
_AT_ONCE: Final = 200
_LOCK: Final = "mail.lock"
_log = logging.getLogger(__name__)


class Courier:
    """Writes and sends the mails of one server."""

    def __init__(  # noqa: PLR0913 - what mails are made from
        self,
        settings: MailSettings,
        *,
        folder: Path,
        access: Access,
        outbox: Outbox,
        workspaces: Workspaces,
        server: ServerSettings,
        settle_us: int = SETTLE_US,
    ) -> None:
        """Begin; the server's settings name its address, which every mail links to."""
        self._settings = settings
        self._folder = folder
        self._access = access
        self._outbox = outbox
        self._workspaces = workspaces
        self._server = server
        self._settle_us = settle_us
        self._repeating = Repeating("mail", self._run, on_trouble=self._note_trouble)

    def close(self) -> None:
        """Stop; what was not sent is sent after the next start."""
        self._repeating.close()

    def _run(self) -> None:
        with self._alone() as is_alone:
            if is_alone:
                self._write()
                self._send()

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the lock of this folder's mail, if no other process does; it ends with the process."""
        with os.fdopen(os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _write(self) -> None:
        """Queue what the ledger's new entries, and the time that has passed, give rise to."""
        database = self._access.database
        invited = database.state(_INVITED)
        with self._workspaces.borrow() as workspace:
            size, now_us = workspace.ledger.size, workspace.now_us
            start = self._outbox.cursor
            if start is None or invited is None:  # from now on: nobody gets a mail about what is long past
                with database.writing():
                    self._outbox.queue([], cursor=size, domain=self._settings.domain)
                    database.set_state(_INVITED, str(now_us).encode())
                return
            entries = [
                entry
                for entry in workspace.ledger.entries(start, min(size, start + _AT_ONCE))
                if entry.at_us <= now_us - self._settle_us
            ]
            next_us = workspace.history().bindings.next_binding_us(after_us=int(invited))
            is_time = next_us is not None and next_us <= now_us
            accepted = any(entry.kind == "acceptance" for entry in entries)
            is_reminding = self._is_reminding(now_us, entries)
            if not entries and not is_time and not is_reminding:
                return
            recipients = Recipients(
                workspace, self._access, url=self._server.url or "", has_oidc=self._server.oidc is not None
            )
            occasions = Occasions(workspace, recipients, Writer(self._server.site))
            until_us = now_us - self._settle_us if accepted else now_us
            with words.speaking(lambda: workspace.terms.vocabulary):
                letters = list(occasions.of_entries(entries))
                if is_time or accepted:
                    letters += occasions.of_time(int(invited), until_us)
                endings = list(occasions.of_endings()) if is_reminding else []
                due = list(occasions.of_due()) if is_reminding else []
        with database.writing():
            if is_reminding:
                self._outbox.keep(MailKind.ENDING, {one.key for one in endings})
                self._outbox.keep(MailKind.DUE, {one.key for one in due})
                database.set_state(_REMINDED, str(now_us).encode())
            self._outbox.queue([*letters, *endings, *due], cursor=start + len(entries), domain=self._settings.domain)
            if is_time or accepted:
                database.set_state(_INVITED, str(max(until_us, int(invited))).encode())

    def _is_reminding(self, now_us: int, entries: Sequence[Entry]) -> bool:
        """Say whether to look for yeses that end soon: now and then, and where a reminder waits that an answer ends."""
        reminded = self._access.database.state(_REMINDED)
        if reminded is None or not 0 <= now_us - int(reminded) < EVERY_US:
            return True
        return any(entry.kind == "decision" for entry in entries) and self._outbox.has_waiting(MailKind.ENDING)

    def _send(self) -> None:
        waiting = self._outbox.due(most=_AT_ONCE)
        if not waiting:
            return
        with connect(self._settings, self._settings.password(self._folder, os.environ)) as connection:
            self._access.database.set_state(TROUBLE, b"")
            for mail in waiting:
                if self._repeating.is_closing:
                    return
                if not self._outbox.is_waiting(mail):
                    continue
                try:
                    answer = connection.send(mail)
                except VolitionError as error:
                    self._outbox.postpone(mail, str(error))
                    raise
                if answer.state is MailState.WAITING:
                    self._outbox.postpone(mail, answer.text)
                else:
                    self._outbox.end(mail, answer.state, answer.text)

    def _note_trouble(self, error: VolitionError) -> None:
        detail = {"at": self._access.database.clock(), "why": str(error)}
        try:
            self._access.database.set_state(TROUBLE, json.dumps(detail).encode())
        except VolitionError:
            _log.warning("That the mail server was not reached could not be noted in web.db.")
