"""Mail: what people with an address are told, and how it gets there (SMTP). Without `[mail]` nothing of it is at work.

What is mailed: new terms, an invitation to decide where something asks for a yes, that a yes ends soon, that a no was
received, and that it was done. A mail has the words of the pages and a link to them; it never quotes a record, nor
names anybody else.

Mails are written from the ledger's entries, in order, and queued in the same step in which it is noted how far that has
come: a server that is killed queues none twice and leaves none out. What is queued is sent by one process at a time.

Each module knows only those before it:

smtp         one mail to the mail server, and its answer
recipients   who has an address, and by which link they come in
letters      what mails say
occasions    from ledger entries, terms that come into force, and yeses that end soon, to mails
courier      writes and sends them, in a thread
"""
