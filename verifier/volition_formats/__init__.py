"""Volition's formats of evidence, read by somebody who has only docs/formats.

A module for each page or part of one; each imports only those before it:

    spellings  JSON, numbers, instants: one value has one spelling (docs/formats/index.md)
    report     what was checked, under the names of the pages, and what fails a check
    log        entries, the tree, signed checkpoints, proofs, witnesses (docs/formats/log.md)
    permits    the replay: from entries to "may this row be used?" (docs/formats/permits.md)
    entries    the forms of what is published and of who looked (docs/formats/entries.md)
    keys       a reader of Parquet in the plain profile (docs/formats/keys.md)
    archive    the one zip of some files (docs/formats/bundle.md)
    collected  what was recorded when it was collected, and a person's proof of it (docs/formats/collected.md)
    snapshot   a snapshot: its manifest, its rows and its people (docs/formats/bundle.md, people.md)
    card       a card's page as it follows from the card, and its least epsilon (docs/formats/release.md)
    findings   a finding's value and verdict follow from what it shows (docs/formats/release.md)
    release    the forms of a card, and its attestation (docs/formats/release.md)
    bundle     the checks of a bundle, in their order (docs/formats/bundle.md)
    receipt    a receipt: the record that follows from what somebody answered (docs/formats/receipt.md)
    proofs     small documents: a person's proofs, of one entry, of consistency, of who looked (docs/formats/proofs.md).
"""
