"""Turns the GGUF file argv[1] into a folder argv[2] that vLLM serves: weights in bfloat16, tokenizer, and chat template.

The package with the file is small because its weights are quantized. vLLM on a CPU does not read those, so they are expanded here.
"""

import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils.quantization_config import GgufConfig


def convert(source: pathlib.Path, target: pathlib.Path) -> None:
    where = {"gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(source.parent, **where)
    # Without `dequantize`, transformers keeps the packed weights and refuses to save them.
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.bfloat16, quantization_config=unpacked, **where)
    # The file has no generation config, and the default one does not know where this model's answers end.
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


convert(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]))
