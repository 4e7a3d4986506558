"""What a forgetting rests on: since when a row is refused, and which rows a family that subtracts is handed."""

from simulator import DAY_US, silent, world_in
from volition.canonical import text_to_us
from volition.learning.families.family import NoParts
from volition.learning.forget import RefusalTimes, forget_rows
from volition.ledger.entry import NewEntry


class Handed:
    """A family that notes what it is handed."""

    def subtract(self, model, *, before, after, accounts, progress):
        del model, progress
        return {row.record_id for row in before}, {row.record_id for row in after}, set(accounts)


def test_only_the_rows_of_those_who_lost_one_are_handed_over_by_who_spoke(tmp_path):
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        together, alone, of_ada, of_cy = (
            world.record(number, people=people)
            for number, people in enumerate([("ada", "bo"), ("bo",), ("ada",), ("cy",)])
        )
        elsewhere = world.record("b", account="brill")
        world.lake.append([together, alone, of_ada, of_cy, elsewhere])
        before = world.freeze()
        world.say("acme-bo", "no")  # who also heard what ada said
        after = world.freeze(within=before)
        handed = forget_rows(
            Handed(), None, before, after, parties=world.parties, merged={}, parts=NoParts(), progress=silent
        )
        assert handed == (
            {together.record_id, alone.record_id, of_ada.record_id},
            {of_ada.record_id},
            {"acme", "brill"},
        )


def test_where_speakers_were_merged_all_rows_of_the_account_are_handed_over_with_whom_they_are(tmp_path):
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        of_ada, of_bo, of_cy = (world.record(number, people=(who,)) for number, who in enumerate(("ada", "bo", "cy")))
        elsewhere = world.record("b", account="brill")
        world.lake.append([of_ada, of_bo, of_cy, elsewhere])
        before = world.freeze()
        world.say("acme-bo", "no")
        after = world.freeze(within=before)
        [ada], [cy] = of_ada.people, of_cy.people
        seen = {}

        class Seeing(Handed):
            def subtract(self, model, *, before, after, accounts, progress):
                seen.update({row.record_id: row.author for row in before})
                return super().subtract(model, before=before, after=after, accounts=accounts, progress=progress)

        merged = {cy: ada}
        handed = forget_rows(
            Seeing(), None, before, after, parties=world.parties, merged=merged, parts=NoParts(), progress=silent
        )
        kept = {of_ada.record_id, of_cy.record_id}
        assert handed == (kept | {of_bo.record_id}, kept, {"acme", "brill"})
        assert seen == {of_ada.record_id: ada, of_cy.record_id: ada, of_bo.record_id: of_bo.people[0]}


def test_a_no_of_somebody_who_may_be_the_speaker_is_owed_since_it_was_said(tmp_path):
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        world.lake.append([world.record(1, people=("ada", "bo"))])
        snapshot = world.freeze()
        ada, bo = world.party("acme-ada"), world.party("acme-bo")
        said = {"party": bo, "answer": "no", "covers": None, "data": ["content"], "purpose": ["train"]}
        [entry] = world.ledger.append(NewEntry(kind="decision", body={**said, "namesake": ada}))
        [key] = snapshot.keys
        frozen_us = text_to_us(snapshot.manifest["at"])
        times = RefusalTimes(world.history(), "train/search", frozen_us=frozen_us, at_us=world.clock() + DAY_US)
        assert times.refused_us(key) == entry.at_us
