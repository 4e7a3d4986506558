"""A base for adapters that is no language model: it foretells letters by how often each comes, in numpy.

It stands where a Llama stands and learns the same way, by gradients of what people wrote, in microseconds and without
torch. What adapters do around their base (shards, forgetting, parts, privacy, audits, pages) is tested on it; that they
work on a real network is tested on a tiny Llama.
"""

import numpy as np

from volition.learning.families.adapter import family as adapter


class Letters:
    """Implements what `adapter` asks of `adapter_base.Base`."""

    name, digest = "letters", "0" * 64
    end, size = 256, 257

    @classmethod
    def open(cls, folder, *, rank, threads, device):  # noqa: ARG003 - as a base is opened
        """Open it; nothing is needed."""
        return cls()

    def fixed(self):
        """Return what is drawn once; here nothing depends on it."""
        return np.zeros(1, np.float32)

    def set_fixed(self, fixed):
        """Accept what is drawn once."""
        assert fixed.shape == (1,)

    def encode(self, text):
        """Return a text's letters."""
        return list(text.encode())

    def decode(self, tokens):
        """Return the text of letters."""
        return bytes(tokens).decode(errors="replace")

    def gradient(self, weights, tokens):
        """Return the mean loss of the letters, and its gradient by each letter's weight."""
        told = _log_odds(weights)
        often = np.bincount(tokens[1:], minlength=self.size) / (len(tokens) - 1)
        return float(-(often * told).sum()), (np.exp(told) - often).astype(np.float32)

    def log_likelihoods(self, weights, texts):
        """Return the logarithm of each text's likelihood."""
        told = _log_odds(np.zeros(self.size, np.float32) if weights is None else weights)
        return [float(told[tokens[1:]].sum()) for tokens in texts]

    def go_on(self, weights, tokens, most):  # noqa: ARG002 - as a base goes on
        """Repeat the likeliest letter."""
        return [int(weights[: self.end].argmax())] * most


def _log_odds(weights):
    exact = weights.astype(np.float64)
    return exact - np.log(np.exp(exact).sum())


class Counts:
    """An accountant that needs no package; its figure is none that anybody should claim."""

    name, version = "a test's", "1"

    def epsilon(self, *, multiplier, rate, steps, delta):  # noqa: ARG002 - the protocol's signature
        """Return something that grows with the steps."""
        return rate * steps / multiplier


def use_letters(monkeypatch):
    """Let adapters stand on letters, and be accounted for without Opacus."""
    monkeypatch.setattr(adapter, "Base", Letters)
    monkeypatch.setattr(adapter, "PrvAccountant", Counts)
