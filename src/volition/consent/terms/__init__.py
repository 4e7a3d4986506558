"""Terms: a published, versioned document and its rules: for which data and purpose whose yes is asked for.

Each module knows only those before it:

toml_file    TOML read strictly: every value knows its line
regions      which regions lie in which
model        terms, rules, switches; the profiles that ship
diff         what a new version changes, in plain words
"""
