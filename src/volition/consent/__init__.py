"""Consent: may this be used? Terms, parties, what they said, and the gate that answers.

It is what the field calls consent management with purpose-based access control: a policy decision point.

What it guarantees: permission is decided in `permits` and nowhere else; silence is never a yes where the terms ask for
one; what is not known is refused. Read `permits` first, and its `reference` before the rest.

Each module knows only those before it:

terms        what is asked: rules, their files, regions, what a version changes
controller   who decides what data is used for, as receipts and documents name them
references   what a party is called: an id, a pseudonym, a party of the ledger, as types of their own
parties      accounts and people: the directory, and the key vault
invisible    characters that are not seen, or turn the direction of text around
spellings    which names are nobody's, and which may be one and the same
identity     whom a source means by what it calls somebody: **who a record is about**
history      the ledger's entries that bear on permission, by party
permits      since when each yes has held unbroken: **the one module that decides**
names        who is meant: what a question calls someone, resolved in one place
claim_presets   how exports of known consent managers are laid out
claims       answers given elsewhere, as a table of another system has them
gate         may this be used? For one record, many, a table
limits       what an account has limited, for itself or for groups of its people
exclusions   one conversation left out of some uses
choices      what one party can say, and what is in effect
endings      whose yes ends soon, so that it can be said anew in time
expiring     tables of permits that others read: until when each holds, and what it knows
permit_tables  permits as a table that others read, and the gate as SQL over it
aggregates   how many people said what, in groups too large to reveal anyone (k-anonymity)
lease        answers from memory for a moment; a no waits until every such moment is over
"""
