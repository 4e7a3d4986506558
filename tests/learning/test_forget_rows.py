"""What a forgetting hands to a family that subtracts: the rows of those for whom something changed, and no others."""

from simulator import silent, world_in
from volition.learning.forget import forget_rows


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
        handed = forget_rows(Handed(), None, before, after, parties=world.parties, progress=silent)
        assert handed == (
            {together.record_id, alone.record_id, of_ada.record_id},
            {of_ada.record_id},
            {"acme", "brill"},
        )
