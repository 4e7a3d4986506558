"""Privacy with a person as the unit: draws that depend on nobody else, and one person's part in a step, bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_llama import needed
from volition.errors import InvalidInputError
from volition.learning.dp import PrvAccountant, claim, clipped_sum, gaussian, is_drawn, least_epsilon

SIZE = 5
GRADIENTS = st.lists(st.floats(width=32), min_size=SIZE, max_size=SIZE).map(lambda found: np.array(found, np.float32))


class Knows:
    name, version = "told", "1"

    def epsilon(self, *, multiplier, rate, steps, delta):  # noqa: ARG002 - the protocol's signature
        return multiplier * rate * steps


@given(others=st.lists(GRADIENTS, max_size=4), one=GRADIENTS, bound=st.floats(0.01, 100.0))
def test_a_person_moves_a_step_by_the_bound_at_most_whatever_they_wrote(others, one, bound):
    without = clipped_sum(others, bound, SIZE)
    moved = clipped_sum([*others, one], bound, SIZE).astype(np.float64) - without
    assert np.linalg.norm(moved) <= bound * (1 + 1e-5 * (1 + len(others)))


def test_a_gradient_within_the_bound_is_left_as_it_is():
    found = np.array([0.3, 0, 0, 0, 0.4], np.float32)
    assert np.array_equal(clipped_sum([found], 0.6, SIZE), found)
    assert np.allclose(clipped_sum([found], 0.25, SIZE), found / 2)


def test_each_person_is_drawn_at_the_rate_and_by_themselves():
    drawn = np.array([[is_drawn("seed", step, f"p{person}", 0.2) for person in range(100)] for step in range(100)])
    assert abs(drawn.mean() - 0.2) < 0.02
    assert drawn.sum(axis=1).std() > 2  # Poisson sampling: not the same number each time
    assert (is_drawn("seed", 1, "ada", 1.0), is_drawn("seed", 1, "ada", 0.0)) == (True, False)


def test_the_noise_is_of_the_deviation_asked_for_and_new_at_each_step_and_seed():
    noise = gaussian("seed", 0, 20_000, 3.0)
    assert abs(noise.std() - 3.0) < 0.1
    assert np.array_equal(noise, gaussian("seed", 0, 20_000, 3.0))
    for other in (gaussian("seed", 1, 20_000, 3.0), gaussian("other", 0, 20_000, 3.0)):
        assert abs(np.corrcoef(noise, other)[0, 1]) < 0.05


@pytest.mark.parametrize("wrong", [{"clipping": 0}, {"rate": 0}, {"rate": 1.1}, {"multiplier": 0}, {"delta": 1}])
def test_what_makes_no_sense_is_not_accounted_for(wrong):
    told = {"clipping": 1.0, "rate": 0.1, "multiplier": 1.0, "steps": 10, "delta": 1e-5}
    assert claim(Knows(), **told).epsilon == pytest.approx(1.0)
    with pytest.raises(InvalidInputError):
        claim(Knows(), **{**told, **wrong})


@pytest.mark.slow
@pytest.mark.xdist_group("adapter")
@pytest.mark.parametrize(("multiplier", "epsilon"), [(1.43, 1.0), (0.82, 3.0), (0.59, 8.0)])
def test_epsilon_is_opacus_own(multiplier, epsilon):
    needed()
    told = claim(PrvAccountant(), clipping=1.0, rate=0.01, multiplier=multiplier, steps=1000, delta=1e-5)
    assert told.epsilon == pytest.approx(epsilon, rel=0.05)
    assert told.accountant.startswith("PRV (opacus) 1.")
    assert told.to_json()["not_covered"]


@pytest.mark.slow
@pytest.mark.parametrize(("multiplier", "rate", "steps"), [(1.1, 0.1, 40), (0.6, 0.02, 500), (2.0, 0.9, 10)])
def test_the_least_epsilon_is_below_what_the_accountant_finds_and_not_far_below(multiplier, rate, steps):
    pytest.importorskip("opacus")
    found = PrvAccountant().epsilon(multiplier=multiplier, rate=rate, steps=steps, delta=1e-5)
    least = least_epsilon(multiplier=multiplier, rate=rate, steps=steps, delta=1e-5)
    assert 0.2 * found < least <= found


def test_the_least_epsilon_of_one_full_step_is_that_of_the_gaussian_mechanism():
    """Balle and Wang 2018, arXiv:1805.06530: sensitivity 1 and noise 1 give epsilon 4.377 at delta 1e-5."""
    assert least_epsilon(multiplier=1.0, rate=1.0, steps=1, delta=1e-5) == pytest.approx(4.377, abs=0.01)
