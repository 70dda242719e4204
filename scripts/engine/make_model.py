"""Writes a Llama of about 3M random parameters, and a tokenizer with a chat template, into the folder argv[1].

Its output is noise, but the same noise every time at temperature 0. That is enough to tell a restored KV cache from a
wrong one, and small enough for two CPU cores.
"""

import pathlib
import sys
import sysconfig

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 4096
MARKERS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# ChatML. Reasoning is rendered in the last message only, as many real templates do: a reply's ids change once another
# turn follows, which is why a window is frozen at the common prefix of two continuations. src/sim/template.ts is the same.
CHAT_TEMPLATE = "".join(
    [
        "{% if tools %}<|im_start|>system\n# Tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}",
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n",
        "{% if m.get('reasoning') and loop.last %}<think>{{ m['reasoning'] }}</think>{% endif %}",
        "{% if m.get('content') %}{{ m['content'] }}{% endif %}",
        "{% for call in m.get('tool_calls') or [] %}<tool_call>{{ call['function'] | tojson }}</tool_call>{% endfor %}",
        "<|im_end|>\n{% endfor %}",
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ]
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on Python's standard library, which is available wherever Python is."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    corpus = sorted(str(path) for path in library.glob("*.py"))[:150]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train(corpus, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=MARKERS, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=MARKERS[2], pad_token=MARKERS[0])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=16384,
        bos_token_id=0,
        eos_token_id=2,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


target = sys.argv[1]
make_tokenizer().save_pretrained(target)
make_model().save_pretrained(target)
