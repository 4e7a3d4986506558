"""Features: released models at work for one person, gated again for the data that they read (inference).

What they guarantee: nothing is shown that the gate does not let through now; what a language model writes is checked
against what it was given.

Read `request` first, then the feature you look for: search, summary, recommend, diagnose, compose.

Each module knows only those before it:

edits           a message tidied up, or shortened, by rule
spelling        mistyped words, mended from a packaged dictionary
llm             the configured end point: a language model elsewhere
drafts          text that a person asked a language model for, with guardrails
conversations   meetings and channels to read, with no model in between
search_cache    opened content made ready for search, judged again at every search
request         who asks, under which permits, and which rows they may see
written         a summary of a whole transcript by a language model, each claim checked
prose           a summary in sentences, each checked against the quotes that it cites
search          meetings, chats and files, ranked
summary         a meeting in quotes, its minutes, and prose over them
recommend       what a person may like to open next
diagnose        which of a person's sessions are about to fail, and why
compose         completions, replies, edits and drafts while somebody types
"""
