#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the trained demo model in the forms that tinyphi reads.

    pip install torch transformers sentencepiece tokenizers gguf safetensors
    ./export.py build/demo build/export --answers 120

OUT/hf is a Hugging Face folder (BF16), OUT/tinyphi-demo-7m-q8_0.gguf the model
to ship (Q8_0, norms F32), OUT/answers.jsonl greedy answers of transformers on
the dequantized Q8_0 weights, as test data.
"""

import argparse
import json
import os
import random

import gguf
import sentencepiece as spm
import torch
from make_corpus import conversation, render
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import Phi3ForCausalLM

SPECIAL = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' and message['content'] %}"
    "{{'<|system|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'user' %}"
    "{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}"
    "{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
    "{% else %}{{ eos_token }}{% endif %}"
)
# Names of a layer's weights in Hugging Face and in GGUF files.
LAYER_NAMES = {
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTER_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def merges_of(sp, vocab):
    """The merges that the pieces' scores stand for, best first."""
    merges = []
    for piece, i in vocab.items():
        if sp.is_control(i) or sp.is_unknown(i) or sp.is_byte(i):
            continue
        pairs = [
            (piece[:k], piece[k:])
            for k in range(1, len(piece))
            if piece[:k] in vocab and piece[k:] in vocab
        ]
        pairs.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        merges += [(sp.get_score(i), pair) for pair in pairs]
    merges.sort(key=lambda merge: -merge[0])
    return [pair for _, pair in merges]


def fast_tokenizer(sp):
    """The same tokenizer in the form of tokenizer.json."""
    vocab = {sp.id_to_piece(i): i for i in range(sp.vocab_size())}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=merges_of(sp, vocab),
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )

    def control(name, rstrip=False):
        return AddedToken(name, special=True, normalized=False, rstrip=rstrip)

    tokenizer.add_special_tokens([control("<unk>"), control("<s>")])
    tokenizer.add_tokens(
        [AddedToken("</s>", special=False, normalized=False, rstrip=True)]
    )
    tokenizer.add_special_tokens(
        [control(name, rstrip=name != "<|endoftext|>") for name in SPECIAL]
    )
    return tokenizer


def check_same(tokenizer, sp):
    """Both tokenizers must give the same ids."""
    rng = random.Random(99)
    for _ in range(500):
        for _, text in conversation(rng):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            assert ids == sp.encode(text), f"the two tokenizers differ: {text!r}"


def write_json(path, value, **options):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, **options)


def write_folder(folder, config, weights, tokenizer, n_pieces):
    """A Hugging Face folder as they are published."""
    os.makedirs(folder, exist_ok=True)
    end_of_text = n_pieces
    stop_ids = [n_pieces + 3, n_pieces + 1, end_of_text]
    save_file(
        weights, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"}
    )
    write_json(
        os.path.join(folder, "config.json"),
        {
            "architectures": ["Phi3ForCausalLM"],
            "model_type": "phi3",
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "num_key_value_heads": config.num_key_value_heads,
            "hidden_act": "silu",
            "max_position_embeddings": 4096,
            "original_max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "rope_scaling": None,
            "sliding_window": None,
            "tie_word_embeddings": False,
            "attention_bias": False,
            "bos_token_id": 1,
            "eos_token_id": end_of_text,
            "pad_token_id": end_of_text,
            "torch_dtype": "bfloat16",
            "use_cache": True,
        },
        indent=1,
    )
    write_json(
        os.path.join(folder, "generation_config.json"),
        {"bos_token_id": 1, "eos_token_id": stop_ids, "pad_token_id": end_of_text},
    )
    write_json(
        os.path.join(folder, "tokenizer.json"),
        json.loads(tokenizer.to_str()),
        ensure_ascii=False,
        separators=(",", ":"),
    )
    write_json(
        os.path.join(folder, "tokenizer_config.json"),
        {
            "tokenizer_class": "LlamaTokenizer",
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": "<s>",
            "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "unk_token": "<unk>",
            "legacy": False,
            "model_max_length": 4096,
            "clean_up_tokenization_spaces": False,
            "chat_template": TEMPLATE,
        },
        indent=1,
    )


def add_tokenizer(writer, sp, vocab_size):
    """The vocabulary in a GGUF file's form: pieces, control tokens, padding."""
    n_pieces = sp.vocab_size()
    n_padding = vocab_size - n_pieces - len(SPECIAL)

    def kind(i):
        if i == 2:
            return gguf.TokenType.USER_DEFINED  # </s> is text to the published one
        if sp.is_unknown(i):
            return gguf.TokenType.UNKNOWN
        if sp.is_control(i):
            return gguf.TokenType.CONTROL
        return gguf.TokenType.BYTE if sp.is_byte(i) else gguf.TokenType.NORMAL

    pieces = [sp.id_to_piece(i) for i in range(n_pieces)]
    padding = [f"[PAD{vocab_size - n_padding + i}]" for i in range(n_padding)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces + SPECIAL + padding)
    writer.add_token_scores(
        [sp.get_score(i) for i in range(n_pieces)] + [-1000.0] * (vocab_size - n_pieces)
    )
    writer.add_token_types(
        [kind(i) for i in range(n_pieces)]
        + [gguf.TokenType.CONTROL] * len(SPECIAL)
        + [gguf.TokenType.UNUSED] * n_padding
    )
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(n_pieces)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(n_pieces)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)


def gguf_name(name):
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f'blk.{layer}.{LAYER_NAMES[rest.removesuffix(".weight")]}.weight'


def write_gguf(path, model, weights, sp):
    """The GGUF file; `model` then has the weights as Q8_0 rounds them."""
    c = model.config
    writer = gguf.GGUFWriter(path, "phi3")
    writer.add_name("tinyphi-demo-7m")
    writer.add_description(
        "Demo model of tinyphi, trained from scratch on generated text. Answers "
        "from passages, extracts JSON, calls tools."
    )
    writer.add_license("mit")
    writer.add_context_length(4096)
    writer.add_rope_scaling_orig_ctx_len(4096)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(c.hidden_size // c.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_sliding_window(0)
    add_tokenizer(writer, sp, c.vocab_size)
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    for name, weight in weights.items():
        x = weight.float().numpy()
        if x.ndim != 2:
            writer.add_tensor(gguf_name(name), x)
            continue
        packed = gguf.quants.quantize(x, q8_0)
        writer.add_tensor(gguf_name(name), packed, raw_dtype=q8_0)
        rounded = gguf.quants.dequantize(packed, q8_0)
        model.get_parameter(name).data = torch.tensor(rounded)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def answer(model, tokenizer, turns, n_pieces):
    """One line of answers.jsonl: what the model says to all but the last turn."""
    stop_ids = [n_pieces + 3, n_pieces + 1, n_pieces]
    question, expected = turns[:-1], turns[-1][1]
    prompt = render(question) + "<|assistant|>\n"
    ids = [1] + tokenizer.encode(prompt, add_special_tokens=False).ids
    out = model.generate(
        torch.tensor([ids]),
        max_new_tokens=120,
        do_sample=False,
        eos_token_id=stop_ids,
        pad_token_id=n_pieces,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best_two = [logits[0].topk(2).values for logits in out.logits]
    new = out.sequences[0, len(ids) :].tolist()
    if new and new[-1] in stop_ids:
        new = new[:-1]
    return {
        "messages": [{"role": role, "content": text} for role, text in question],
        "prompt_ids": ids,
        "answer_ids": new,
        "answer": tokenizer.decode(new),
        "smallest_margin": round(min((a - b).item() for a, b in best_two), 5),
        "expected": expected,
    }


def write_answers(path, model, tokenizer, n_answers, n_pieces):
    rng = random.Random(12345)
    n_right = 0
    with open(path, "w", encoding="utf-8") as file, torch.no_grad():
        for _ in range(n_answers):
            line = answer(model, tokenizer, conversation(rng), n_pieces)
            n_right += line["answer"] == line["expected"]
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{n_right} of {n_answers} answers as expected")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("trained", help="the folder that train.py wrote")
    parser.add_argument("out")
    parser.add_argument("--answers", type=int, default=300)
    args = parser.parse_args()

    os.makedirs(args.out, exist_ok=True)
    sp = spm.SentencePieceProcessor(os.path.join(args.trained, "tokenizer.model"))
    tokenizer = fast_tokenizer(sp)
    check_same(tokenizer, sp)
    model = Phi3ForCausalLM.from_pretrained(
        args.trained, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    weights = {k: v.bfloat16().contiguous() for k, v in model.state_dict().items()}
    for name, weight in weights.items():
        model.get_parameter(name).data = weight.float()
    n_pieces = sp.vocab_size()
    write_folder(
        os.path.join(args.out, "hf"), model.config, weights, tokenizer, n_pieces
    )
    write_gguf(os.path.join(args.out, "tinyphi-demo-7m-q8_0.gguf"), model, weights, sp)
    write_answers(
        os.path.join(args.out, "answers.jsonl"),
        model,
        tokenizer,
        args.answers,
        n_pieces,
    )


if __name__ == "__main__":
    main()
