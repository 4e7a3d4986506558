"""Documents: a release in the forms in which others expect it. Each is written from the card alone, so none says more.

What it guarantees: the same release gives the same bytes; what is not known is said to be unknown and never guessed.

Each module knows only those before it:

facts         what all of them are written from
cyclonedx     the bill of materials for machine learning (CycloneDX 1.6 ML-BOM)
hugging_face  the model card that model hubs show: README.md with front matter
eu_summary    the public summary of training content (AI Act, article 53)
formats       all of them, by name
"""
