"""Transparency: what anyone can see and check: what is held, what was asked for, what it was used for, and proofs.

What it guarantees: a person sees what is theirs and nothing of anybody else's; evidence verifies offline with the
public key alone.

One noun through all layers: what a person may demand is their *rights* (`workspace.rights`, `rights` in the API and the
command line). Each right has its module here: access and portability in `holdings` and `usage`, objection and erasure
in `data_requests` (data subject access requests), the trained models in `traces`, evidence in `prove` and `receipt`;
whoever holds evidence checks it with `verify` and `evidence`.

Each module knows only those before it:

usage           how often features used whose records
access_log      who looked at whose data, provable once a day is over (audit trail)
holdings        what is held of one person, to read and to take away
data_requests   what a person asked for, and its progress
traces          what the models learned from one party
figures         what audits measured, as one party may see it
verdicts        what the figures say, in sentences
savings         what features saved an account
weigh           what a yes gives and costs, before the choice
verify          evidence, checked offline: a log, a bundle, a proof of a person
prove           evidence, written
collected       what was recorded about a person, proved to them
consent_record  an answer as a consent record
receipt         what somebody decided, as a consent receipt
evidence        any document of evidence, checked
"""
