"""The lies that a dishonest operator tells, with the keys in hand: in the log and in snapshots; those of releases follow.

Each says what is done, and how it is found out. Everything is signed and bound together anew (`forging.Forger`), so that
nothing but the lie itself is wrong.
"""

from dataclasses import replace

from msgspec import structs

from forging import signed_note
from simulator import DAY_US, TERMS
from volition.canonical import us_to_text
from volition.records.commitment import CollectedBatch


def no_of(honest, name="acme"):
    party = honest.world.party(name)
    return {"party": party, "answer": "no", "data": ["service"], "purpose": ["train"], "covers": None}


def terms(**says):
    return {**TERMS.to_json(), **says}


def later(forger):
    """An instant after the whole log, as text: the publication's own."""
    return us_to_text(forger.entries[-1].at_us + DAY_US)


# Each lie: what is done, the name of the check that must fail, and what its sentence must say.

LIES = {}


def lie(check, phrase):
    def keep(tell):
        LIES[tell.__name__.replace("_", " ")] = (tell, check, phrase)
        return tell

    return keep


@lie("permits of train-recommend", "dated back")
def a_snapshot_entered_after_a_no_and_dated_before_it(forger, honest):
    place = forger.place("snapshot", 1)
    forger.insert(place, "decision", no_of(honest))


@lie("permits of recommend", "stale model that was recorded as trained")
def a_model_recorded_after_a_no(forger, honest):
    forger.insert(forger.place("model", 1), "decision", no_of(honest))


@lie("permits of recommend", "release of a stale model")
def the_release_of_a_stale_model(forger, honest):
    forger.insert(forger.place("release", 1), "decision", no_of(honest))


@lie("permits of recommend", "release of a stale model")
def a_stale_model_released_once_more(forger, honest):
    forger.append("decision", no_of(honest))
    forger.append("release", forger.entries[forger.place("release", 1)].body, after_us=DAY_US)


@lie("permits of recommend", "stale model that was recorded as trained")
def a_stale_model_of_other_rows_put_in_the_place_of_one(forger, honest):
    forger.insert(forger.place("model", 1), "decision", no_of(honest))
    first, second = honest.models
    body = {"model": first, "successor": second, "parties": [honest.world.party("acme")]}
    forger.insert(forger.place("release", 1) + 1, "forgetting", body)


@lie("permits of recommend", "release of a stale model")
def a_stale_model_released_and_named_as_successor_only_later(forger, honest):
    forger.insert(forger.place("release", 1), "decision", no_of(honest))
    forger.append("decision", {**no_of(honest), "answer": "yes"})
    first, second = honest.models
    forger.append("forgetting", {"model": first, "successor": second, "parties": [honest.world.party("acme")]})


@lie("forgetting of recommend", "is overdue")
def a_forgetting_overdue_by_a_month(forger, honest):
    forger.append("decision", no_of(honest))
    forger.append("decision", no_of(honest, "brill"), after_us=60 * DAY_US)


@lie("forgetting of recommend", "is overdue")
def a_forgetting_overdue_by_what_the_models_entry_promises(forger, honest):
    forger.change(forger.place("model", 0), due_days=2)
    forger.append("decision", no_of(honest))
    forger.append("decision", no_of(honest, "brill"), after_us=3 * DAY_US)


@lie("forgetting of recommend", "no whole number")
def a_promise_that_is_no_number(forger, honest):
    forger.change(forger.place("model", 0), due_days=2.5)


@lie("terms", "was published before")
def the_same_terms_id_published_again(forger, honest):
    forger.append("terms", {"terms": terms(title="other"), "binds": later(forger)})


@lie("terms", "before the entry itself")
def terms_that_bind_in_the_past(forger, honest):
    forger.append("terms", {"terms": terms(id="v2"), "binds": us_to_text(forger.entries[0].at_us - DAY_US)})


@lie("terms", "newly allows")
def terms_that_loosen_without_notice(forger, honest):
    free = [{"data": ["content", "service"], "purpose": ["train", "feature"], "basis": "contract"}]
    binds = us_to_text(forger.entries[-1].at_us + 1)
    forger.append("terms", {"terms": terms(id="v2", rule=free), "binds": binds})


@lie("terms", "There is no region")
def a_region_that_there_is_not(forger, honest):
    forger.append("region", {"party": honest.world.party("acme-ada"), "region": "ZZ"})


@lie("terms", "There is no region")
def a_rule_for_a_region_that_there_is_not(forger, honest):
    elsewhere = {**TERMS.to_json()["rule"][0], "region": ["ZZ"]}
    binds = us_to_text(forger.entries[-1].at_us + 90 * DAY_US)
    forger.append("terms", {"terms": terms(id="v2", rule=[*TERMS.to_json()["rule"], elsewhere]), "binds": binds})


@lie("terms", "is not spelt as instants are")
def a_no_until_an_instant_that_is_none(forger, honest):
    forger.append("decision", {**no_of(honest), "until": "2026-W01"})


@lie("models", "is named twice")
def a_model_named_twice(forger, honest):
    other = forger.entries[forger.place("snapshot", 1)].body["snapshot"]
    forger.append("model", {**forger.entries[forger.place("model", 0)].body, "snapshot": other})


@lie("models", "is named twice")
def a_snapshot_named_twice(forger, honest):
    forger.members |= {"snapshots/x/manifest.json": b""}
    again = forger.entries[forger.place("snapshot", 0)].body
    forger.manifests = {}
    place = forger.place("model", 0)
    body = {**again, "manifest": "0" * 64}
    forger.insert(place, "snapshot", {**body, "snapshot": "a-snapshot"})
    forger.insert(place, "snapshot", {**body, "snapshot": "a-snapshot", "manifest": "1" * 64})


@lie("models", "a snapshot that is not in the log")
def a_model_of_a_snapshot_that_is_not_there(forger, honest):
    forger.append("model", {"model": "x", "family": "recommend", "snapshot": "nowhere", "digest": ""})


@lie("models", "a model that is not in the log")
def the_release_of_a_model_that_is_not_there(forger, honest):
    forger.append("release", {"model": "x", "card": "", "attestation": ""})


@lie("models", "a model that is not in the log")
def the_forgetting_of_a_model_that_is_not_there(forger, honest):
    forger.append("forgetting", {"model": "x", "successor": None, "parties": []})


def forget(forger, honest, number=0, successor=None):
    forger.append("forgetting", {"model": honest.models[number], "successor": successor, "parties": []})


@lie("models", "was forgotten, then released")
def a_model_forgotten_then_released(forger, honest):
    forget(forger, honest)
    forger.append("release", forger.entries[forger.place("release", 0)].body)


@lie("models", "was forgotten, then trained again")
def a_model_forgotten_then_trained_again(forger, honest):
    forget(forger, honest)
    forger.append("model", forger.entries[forger.place("model", 0)].body)


@lie("models", "was forgotten twice")
def a_model_forgotten_twice(forger, honest):
    forget(forger, honest)
    forget(forger, honest)


@lie("models", "does not exist")
def a_successor_that_does_not_exist(forger, honest):
    forget(forger, honest, successor="x")


@lie("models", "was forgotten before")
def a_successor_that_was_forgotten(forger, honest):
    forget(forger, honest, 1)
    forget(forger, honest, 0, successor=honest.models[1])


def manifest(forger, honest, number=0, **says):
    forger.manifests[honest.snapshots[number].id] = lambda found, _: found.update(says)


def rows(forger, honest, **says):
    forger.manifests[honest.snapshots[0].id] = lambda _, listed: [row.update(says) for row in listed[:1]]


@lie("snapshot", "no pseudonym")
def a_person_in_capitals(forger, honest):
    rows(forger, honest, people=[honest.world.people["acme-ada"].upper()])


@lie("snapshot", "no pseudonym")
def a_person_with_a_blank_behind(forger, honest):
    rows(forger, honest, people=[honest.world.people["acme-ada"] + " "])


@lie("permits of train-recommend", "had no permit")
def a_row_of_an_account_that_accepted_nothing(forger, honest):
    rows(forger, honest, account="nobody")


@lie("permits of train-recommend", "concerns nobody")
def a_row_of_nobody(forger, honest):
    rows(forger, honest, people=[])


@lie("collection of train-recommend", "is not as it was collected")
def a_record_said_to_be_collected_at_another_instant(forger, honest):
    forger.manifests[honest.snapshots[0].id] = lambda _, listed: [
        row.update(collected_us=row["collected_us"] + 1) for row in listed[:1]
    ]


@lie("collection of train-recommend", "is not as it was collected")
def a_record_of_another_person(forger, honest):
    rows(forger, honest, people=[honest.world.people["acme-bo"]])


@lie("collection of train-recommend", "is not as it was collected")
def a_record_of_another_name(forger, honest):
    rows(forger, honest, record_id="another")


@lie("collection of train-recommend", "is not as it was collected")
def a_record_of_another_conversation(forger, honest):
    rows(forger, honest, conversation="0" * 32)


@lie("collection of train-recommend", "are not those that entry")
def a_batch_of_other_records(forger, honest):
    forger.collected = lambda batches: [replace(one, leaves=bytes(len(one.leaves))) for one in batches]


@lie("collection of train-recommend", "is said to be older than entries about")
def records_said_to_be_older_than_entries_about_what_was_collected(forger, honest):
    forger.manifests[honest.snapshots[0].id] = lambda found, _: found.update(collected={"batches": 0, "before": 12})
    forger.collected = lambda batches: [
        CollectedBatch(
            entry=None,
            people_key=b"",
            rows=sorted(row for one in batches for row in one.rows),
            indexes=[],
            salts=b"",
            leaves=b"",
        )
    ]


@lie("collection of train-recommend", "enters once more")
def a_batch_that_is_entered_once_more_under_a_later_date(forger, honest):
    forger.insert(forger.place("snapshot", 0), "collect", forger.entries[forger.place("collect", 0)].body)


@lie("collection of train-recommend", "collected after entry")
def records_said_to_be_from_after_the_entry_that_enters_them(forger, honest):
    for place in range(forger.place("collect", 0) + 1):
        entry = forger.entries[place]
        forger.entries[place] = structs.replace(entry, at_us=entry.at_us - DAY_US)


@lie("collection of train-recommend", "does not say what was collected")
def a_record_of_which_nothing_is_shown(forger, honest):
    forger.collected = lambda batches: [
        replace(one, rows=one.rows[1:], indexes=one.indexes[1:], salts=one.salts[16:]) for one in batches
    ]


@lie("collection of train-recommend", "counts other batches")
def a_manifest_that_counts_other_batches(forger, honest):
    manifest(forger, honest, collected={"batches": 2, "before": 0})


@lie("snapshot", "says what no reader knows: collected.parquet")
def a_manifest_that_counts_no_batches(forger, honest):
    forger.manifests[honest.snapshots[0].id] = lambda found, _: found.pop("collected", None)


@lie("snapshot", "says what no reader knows: note")
def a_manifest_with_a_word_more(forger, honest):
    manifest(forger, honest, note="trust us")


@lie("snapshot", "that anybody could be asked about")
def a_purpose_that_is_none(forger, honest):
    manifest(forger, honest, purpose="train/everything")


@lie("snapshot", "after its own entry")
def a_snapshot_dated_after_its_own_entry(forger, honest):
    manifest(forger, honest, at=us_to_text(forger.entries[forger.place("snapshot", 0)].at_us + 1))


@lie("snapshot", "it is dated back")
def a_snapshot_dated_before_its_own_checkpoint(forger, honest):
    at = us_to_text(forger.entries[forger.place("snapshot", 1) - 1].at_us - 1)

    def date_back(found, _):
        found.update(at=at, collected_until=at, checkpoint=signed_note(forger.lines))

    forger.manifests[honest.snapshots[1].id] = date_back


@lie("snapshot", "collected after the instant")
def records_from_after_the_snapshot(forger, honest):
    rows(forger, honest, collected_us=2**60)


@lie("snapshot", "collected after the snapshot's instant")
def a_manifest_that_speaks_of_later_records(forger, honest):
    manifest(forger, honest, collected_until=later(forger))


@lie("snapshot", "named only later")
def a_snapshot_within_a_later_one(forger, honest):
    manifest(forger, honest, within="a-later-one")
    forger.append("snapshot", {"snapshot": "a-later-one"})


@lie("snapshot", "does not add up")
def counts_that_do_not_add_up(forger, honest):
    manifest(forger, honest, rows={"service/usage": {"read": 99, "kept": 12, "dropped": {}}})


@lie("snapshot", "no whole number")
def counts_that_are_no_numbers(forger, honest):
    manifest(forger, honest, rows={"service/usage": {"read": 12, "kept": 12, "dropped": {"said-no": False}}})


@lie("snapshot", "are not those of the rows")
def accounts_of_whom_there_are_fewer_rows(forger, honest):
    manifest(forger, honest, accounts={"acme": 12})


@lie("snapshot", "columns that the manifest names")
def other_columns(forger, honest):
    manifest(forger, honest, schema={"keys.parquet": {}, "rows.parquet": {}})


@lie("snapshot", "tree of people is not the one")
def fewer_people(forger, honest):
    manifest(forger, honest, people={"size": 3, "root": honest.snapshots[0].manifest["people"]["root"]})


@lie("snapshot", "has the format")
def another_format(forger, honest):
    manifest(forger, honest, format="volition/snapshot/2")


@lie("snapshot", "not a prefix of this log")
def a_manifest_from_another_log(forger, honest):
    manifest(forger, honest, checkpoint=signed_note([b"another"]))


@lie("ledger", "Time runs backwards")
def a_log_in_which_time_runs_backwards(forger, honest):
    forger.append("decision", no_of(honest), after_us=-DAY_US)


def statement(forger, honest, change):
    forger.cards[honest.models[0]] = change


@lie("release", "is of the type")
def an_attestation_of_another_type(forger, honest):
    statement(forger, honest, lambda _, found: found.update(_type="https://in-toto.io/Statement/v2"))


@lie("release", "which nothing checks")
def an_attestation_with_a_word_more(forger, honest):
    statement(forger, honest, lambda _, found: found.update(note="trust us"))


@lie("release", "has another 'model' than the card")
def an_attestation_of_another_model(forger, honest):
    statement(forger, honest, lambda _, found: found["predicate"].update(model=honest.models[1]))


@lie("release", "is about other files")
def an_attestation_of_other_files(forger, honest):
    statement(forger, honest, lambda _, found: found["subject"][0]["digest"].update(sha256="0" * 64))


# --- what is said under a name that is nobody's ---


@lie("terms", "no person by a pseudonym")
def a_no_of_a_person_in_capitals(forger, honest):
    pseudonym = honest.world.people["acme-ada"].upper()
    forger.append("decision", {**no_of(honest), "party": f"person:{pseudonym}"})


@lie("terms", "no id of an account")
def a_no_of_an_account_with_a_blank_behind(forger, honest):
    forger.append("decision", {**no_of(honest), "party": "account:acme "})


@lie("terms", "is none of: yes, no")
def an_answer_that_is_neither_yes_nor_no(forger, honest):
    forger.append("decision", {**no_of(honest), "answer": "No"})


@lie("terms", "names nothing")
def a_no_to_nothing(forger, honest):
    forger.append("decision", {**no_of(honest), "data": []})


@lie("terms", "is none of: gpc")
def a_signal_in_capitals(forger, honest):
    forger.append("signal", {"party": honest.world.party("acme-ada"), "signal": "GPC"})


@lie("terms", "no person by a pseudonym")
def an_erasure_of_nobody(forger, honest):
    forger.append("erasure", {"party": "person:ada"})


@lie("terms", "not named as entries name one")
def a_conversation_left_out_by_another_name(forger, honest):
    place = {"account": "acme", "conversation": "0" * 31 + "A", "party": honest.world.party("acme-ada")}
    forger.append("exclusion", {**place, "purpose": ["train"], "excluded": True})


@lie("terms", "no list of persons")
def a_limit_of_a_person_in_capitals(forger, honest):
    people = [f"person:{honest.world.people['acme-ada'].upper()}"]
    body = {"account": "acme", "group": "g", "data": ["service"], "purpose": ["train"], "limited": True}
    forger.append("limit", {**body, "people": people})


@lie("terms", "merges not two people")
def a_merge_of_three_people(forger, honest):
    people = [honest.world.party(f"acme-{name}") for name in ("ada", "bo", "cy")]
    forger.append("identity", {"act": "merge", "people": people, "by": "operator"})


@lie("models", "no hash")
def a_model_without_a_digest(forger, honest):
    body = {**forger.entries[forger.place("model", 0)].body, "model": "recommend-0", "digest": "x"}
    forger.append("model", body)


@lie("forgetting of recommend", "no promise to forget")
def a_promise_to_forget_in_a_million_years(forger, honest):
    forger.change(forger.place("model", 0), due_days=365_000_000)


@lie("terms", "newly allows")
def a_notice_period_that_is_shortened_without_notice(forger, honest):
    binds = us_to_text(forger.entries[-1].at_us + 1)
    forger.append("terms", {"terms": terms(id="v2", notice_days=0), "binds": binds})


# --- what nobody's permission rests on, and what somebody reads all the same ---


@lie("terms", "notice of 'v9'")
def a_notice_of_terms_that_were_never_published(forger, honest):
    forger.append("notice", {"account": "acme", "terms": "v9", "ends": later(forger)})


@lie("terms", "notice of 'v1'")
def a_notice_that_says_another_end(forger, honest):
    forger.append("notice", {"account": "acme", "terms": "v1", "ends": later(forger)})


@lie("terms", "no account, and no person")
def an_answer_that_somebody_gave_under_no_identity(forger, honest):
    forger.append("decision", {**no_of(honest), "same_as": "ada"})


@lie("terms", "no account, and no person")
def an_erasure_that_somebody_asked_for_under_no_identity(forger, honest):
    forger.append("erasure", {"party": "person:" + "0" * 32, "same_as": "ada"})


@lie("terms", "no account, and no person")
def a_conversation_opened_to_a_person_in_capitals(forger, honest):
    where = {"account": "acme", "conversation": "meeting", "source": "0" * 32, "shared": True, "by": "operator"}
    forger.append("sharing", {**where, "with": [honest.world.party("acme-ada").upper()]})


@lie("terms", "is none of: meeting")
def a_conversation_of_no_known_kind_opened(forger, honest):
    where = {"account": "acme", "conversation": "letter", "source": "0" * 32, "shared": True, "by": "operator"}
    forger.append("sharing", {**where, "with": []})


@lie("terms", "merges not two people")
def a_person_merged_with_whoever_is_unknown(forger, honest):
    people = [honest.world.party("acme-ada"), "person:unknown"]
    forger.append("identity", {"act": "merge", "people": people, "by": "operator"})


@lie("terms", "no account, and no person")
def a_merge_that_nobody_asked_for(forger, honest):
    people = [honest.world.party(f"acme-{name}") for name in ("ada", "bo")]
    forger.append("identity", {"act": "merge", "people": people, "by": "somebody"})


@lie("terms", "a batch of no records")
def a_batch_of_nothing(forger, honest):
    forger.append("collect", {"records": 0, "root": "0" * 64})


@lie("models", "no account, and no person")
def a_forgetting_of_a_person_in_capitals(forger, honest):
    parties = [honest.world.party("acme-ada").upper()]
    forger.append("forgetting", {"model": honest.models[0], "successor": None, "parties": parties})


@lie("permits of recommend", "A successor that saw what is refused")
def a_successor_that_saw_them_too(forger, honest):
    forger.append("decision", no_of(honest))
    first, second = honest.models
    forger.append("forgetting", {"model": first, "successor": second, "parties": ["account:acme"]})


# --- one person under two identities ---

GHOST = "person:" + "0" * 32


def before_the_snapshot(forger, *drafts):
    for kind, body in drafts:
        forger.insert(forger.place("snapshot", 0), kind, body)


def merge(honest):
    return "identity", {"act": "merge", "people": [honest.world.party("acme-ada"), GHOST], "by": "operator"}


@lie("identities", "had said no to service/diagnostics")
def a_no_that_is_lost_in_a_merge(forger, honest):
    said = {**no_of(honest), "party": GHOST}
    before_the_snapshot(forger, ("decision", said), merge(honest))


@lie("identities", "the gpc of one was not recorded")
def a_signal_of_one_of_two_identities(forger, honest):
    before_the_snapshot(forger, merge(honest), ("signal", {"party": GHOST, "signal": "gpc"}))


@lie("identities", "the erasure of one was not recorded")
def an_erasure_of_one_of_two_identities(forger, honest):
    before_the_snapshot(forger, ("erasure", {"party": GHOST, "same_as": honest.world.party("acme-ada")}))


@lie("identities", "nobody says yes for somebody else")
def a_yes_that_a_namesake_said(forger, honest):
    said = {**no_of(honest), "answer": "yes", "party": GHOST, "namesake": honest.world.party("acme-ada")}
    before_the_snapshot(forger, ("decision", said))
