"""A tiny random Llama on bytes, made here: what an adapter is tested on without any weights from elsewhere."""

import os

import pytest

LACKING = "torch, transformers, peft and opacus are not installed: make extras"


def needed():
    """Skip where the packages are missing, or fail where they were asked for."""
    for name in ("torch", "transformers", "peft", "opacus"):
        try:
            __import__(name)
        except ImportError:
            say = pytest.fail if os.environ.get("VOLITION_TRAIN") == "required" else pytest.skip
            say(LACKING)


def make_base(folder, *, seed=0, vocabulary=257):
    """Write the base model into a folder, and return it."""
    import torch  # noqa: PLC0415 - perhaps not there
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=256,
        eos_token_id=256,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
