"""Commands that use the features: models at work, for one person.

Each module knows only those before it:

asker       who asks, the option that all of them take
search      search, opened
written     summary list, summary correct, summary send
summary     summarize
recommend   recommend
compose     draft, rewrite, complete, replies, go-on, edit
diagnose    diagnose
"""
