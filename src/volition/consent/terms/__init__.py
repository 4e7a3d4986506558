"""Terms: a published, versioned document and its rules: for which data and purpose whose yes is asked for.

The field says policy as code; a rule's basis is the lawful basis of GDPR Article 6.

Each module knows only those before it:

toml_file    TOML read strictly: every value knows its line
regions      which regions lie in which
vocabulary   the kinds of data and the purposes that can be named, and what each is called
model        terms, rules, switches
terms_file   terms read from a file, and the profiles that ship
diff         what a new version changes, in plain words
"""
