"""Notices: which new terms people have to know of, whose yes ends soon, and what is known of each delivery.

The ledger's entry `notice` says that an account was given notice. That somebody was told is another thing, and is said
only of what was delivered: a page that was sent to them, signed in, or a mail that a mail server took. Both are kept in
`web.db`, apart from the ledger, and erased with the person.

Each module knows only those before it:

announcements   which published terms concern the people of an account, and what changes for them
reminders       yeses that end soon, on the days on which whoever said them is told
shown           to whom a notice of new terms was shown, when, and who put it away
outbox          mails: those to be sent, and what became of the others
deliveries      both in counts, by account
"""
