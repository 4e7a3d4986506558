"""Features: released models at work, for one person, each gated anew for the data that it reads.

What they guarantee: nothing is shown that the gate does not let through now; what a language model writes is checked
against what it was given.

Each module knows only those before it:

edits           a message made tidy, or shorter, by rule
llm             the configured end point: a language model elsewhere
drafts          text that a person asked for, guarded
prose           a summary in sentences, each checked
conversations   meetings and channels to read, with no model in between
search_cache    what search has opened, judged anew at every search
composing       completions, replies, edits and drafts, as somebody types
released        search, summaries, recommendations, diagnosis
"""
