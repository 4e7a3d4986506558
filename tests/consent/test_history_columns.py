"""Indices that grow: what they find is what a look through all rows finds, however many were put in order already."""

import random

import numpy as np
import pytest

from volition.consent.history import columns
from volition.consent.history.columns import Imported, SortedRows


@pytest.mark.parametrize("few", [0, 3, 1000])
def test_rows_are_found_by_ranges_of_their_number(monkeypatch, few):
    monkeypatch.setattr(columns, "_FEW", few)
    draw, index, listed = random.Random(few), SortedRows(), []
    for row in range(60):
        value = draw.randrange(20)
        listed.append((value, row))
        index.append(value, row)
        if row == 20:
            more = [(draw.randrange(20), 200 + one) for one in range(5)]
            listed += more
            index.add(np.array([one for one, _ in more]), np.array([one for _, one in more]))
        if row == 30:
            more = [(draw.randrange(20), 100 + one) for one in range(5)]
            listed += more
            index.extend(np.array([one for one, _ in more]), np.array([one for _, one in more]))
        low, high = draw.randrange(-1, 21), draw.randrange(-1, 21)
        assert sorted(index.between(low, high).tolist()) == sorted(one for value, one in listed if low < value <= high)
        assert index.next_after(low) == min((value for value, _ in listed if value > low), default=None)
    assert len(index) == len(listed)


@pytest.mark.parametrize("many", [0, 3, 1000])
def test_an_import_is_found_by_its_name_and_the_first_of_two_counts(monkeypatch, many):
    monkeypatch.setattr(columns, "_MANY", many)
    draw, index, known = random.Random(many), Imported(), {}
    for seq in range(80):
        name, content = draw.randrange(-30, 30) * 2**57, draw.randrange(9)
        index.add(name, seq, content)
        known.setdefault(name, (seq, content))
        if seq % 20 == 7:
            more = [(draw.randrange(-30, 30) * 2**57, 100 + seq + one, draw.randrange(9)) for one in range(5)]
            index.add_all(more)
            for name, entry, content in more:
                known.setdefault(name, (entry, content))
        asked = draw.randrange(-30, 30) * 2**57
        assert index.find(asked) == known.get(asked)
    files, again = index.to_files(), Imported()
    again.load(files)
    assert len(again) == len(index) == len(known)
    assert all(again.find(name) == found for name, found in known.items())
    again.add(1, 99, 5)
    assert again.find(1) == (99, 5)
