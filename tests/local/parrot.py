"""Tiny GGUF models that learned one answer by heart: which token follows depends on the last one alone.

The embedding of a token is a direction of its own, attention and feed-forward add nothing, and the output scores highest what
follows in the script. Where a grammar forbids that, or the script has ended, small noise decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

UNKNOWN, CONTROL, USER_DEFINED, BYTE, NORMAL = 2, 3, 4, 6, 1
BOS, EOS, FIRST_BYTE = 1, 2, 3
ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")

TURNS = (
    "{{ bos_token }}{% if tools %}<|system|>{{ tools | tojson }}{{ eos_token }}{% endif %}"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}%CALLS%{{ eos_token }}{% endfor %}<|assistant|>"
)
_EACH = "{% for call in m.tool_calls %}%CALL%{% if not loop.last %}%BETWEEN%{% endif %}{% endfor %}"
_OBJECT = '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'


def calls(opening: str, between: str, closing: str, call: str = _OBJECT) -> str:
    """A template that writes its calls like this."""
    each = _EACH.replace("%CALL%", call).replace("%BETWEEN%", between)
    return TURNS.replace("%CALLS%", "{% if m.tool_calls %}" + opening + each + closing + "{% endif %}")


# In our words, one of each way that is known.
TEMPLATES = {
    "hermes": calls("<tool_call>\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>"),
    "mistral names": calls("", "", "", "[TOOL_CALLS]{{ call.function.name }}[ARGS]{{ call.function.arguments | tojson }}"),
    "mistral list": calls("[TOOL_CALLS][", ", ", "]", '{{ (call.function | tojson)[:-1] }}, "id": "{{ call.id }}"}'),
    "toolcall list": calls("<TOOLCALL>[", ", ", "]</TOOLCALL>"),
    "tool_calls list": calls("<tool_calls>[", ", ", "]</tool_calls>"),
    "function_call": calls("<|function_call|>", "", ""),
    "granite list": TURNS.replace("%CALLS%", "").replace(
        "{% if tools %}<|system|>",
        "{% if tools %}<|system|>When a tool is required, respond only with <|tool_call|> followed by a JSON list.",
    ),
    "functionary": calls("", "", "", "{{ '<function=' + call.function.name + '>' + call.function.arguments + '</function>' }}"),
    "llama 3": calls("", "", "", '{"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson }}}'),
}
PLAIN = TURNS.replace("%CALLS%", "")


def write_parrot(
    path: Path,
    template: str,
    script: Sequence[str],
    *,
    marks: Sequence[str] = (),
    defined: Sequence[str] = (),
    noise: float = 0.02,
    is_bpe: bool = False,
) -> Path:
    """Write a model that says the pieces of the script, each of which is a token of its own, and then ends.

    `marks` become control tokens, `defined` tokens that print; a piece of the script that is one of these is that token. More
    `noise` than 0.5 drowns the script. With `is_bpe` its vocabulary is of the kind of GPT-2, as that of Llama 3 and Qwen is.
    """
    spelled = _gpt2 if is_bpe else _sentencepiece
    bytes_ = [_gpt2_byte(byte) if is_bpe else f"<0x{byte:02X}>" for byte in range(256)]
    texts = ["<unk>", "<s>", "</s>", *bytes_, *ROLES, *marks, *defined]
    kinds = [
        UNKNOWN,
        CONTROL,
        CONTROL,
        *[NORMAL if is_bpe else BYTE] * 256,
        *[CONTROL] * (len(ROLES) + len(marks)),
        *[USER_DEFINED] * len(defined),
    ]
    assert len(set(script)) == len(script), "which token follows depends on the last one alone"
    for piece in script:
        if piece not in texts:
            texts.append(spelled(piece))
            kinds.append(NORMAL)
    ids = [texts.index(piece if piece in texts else spelled(piece)) for piece in script]
    width = -(-len(texts) // 32) * 32
    rng = np.random.default_rng(0)
    output = rng.standard_normal((len(texts), width)).astype(np.float32) * np.float32(noise)
    # llama.cpp's grammar takes overlong UTF-8 for a character, which nobody else reads as one; real vocabularies say it by accident only.
    output[FIRST_BYTE + 128 : FIRST_BYTE + 256] = -1.0
    output[[0, BOS, *range(FIRST_BYTE + 256, FIRST_BYTE + 256 + len(ROLES))]] = -1.0  # what no answer holds
    for last, following in zip([texts.index("<|assistant|>"), *ids], [*ids, EOS], strict=True):
        output[following, last] = 1.0

    file = gguf.GGUFWriter(path, "llama")
    file.add_name("parrot")
    file.add_context_length(2048)
    file.add_embedding_length(width)
    file.add_block_count(1)
    file.add_feed_forward_length(32)
    file.add_head_count(4)
    file.add_head_count_kv(4)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(width // 4)
    file.add_vocab_size(len(texts))
    file.add_tokenizer_model("gpt2" if is_bpe else "llama")
    file.add_tokenizer_pre("qwen2" if is_bpe else "default")
    if is_bpe:
        file.add_token_merges(["h i"])  # a file without any is refused
    file.add_token_list([text.encode() for text in texts])
    file.add_token_scores([-float(number) for number in range(len(texts))])
    file.add_token_types(kinds)
    file.add_bos_token_id(BOS)
    file.add_eos_token_id(EOS)
    file.add_unk_token_id(0)
    file.add_add_bos_token(True)
    file.add_add_space_prefix(False)
    file.add_chat_template(template)
    file.add_tensor("token_embd.weight", np.eye(len(texts), width, dtype=np.float32))
    file.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    file.add_tensor("output.weight", output)
    file.add_tensor("blk.0.attn_norm.weight", np.ones(width, dtype=np.float32))
    file.add_tensor("blk.0.ffn_norm.weight", np.ones(width, dtype=np.float32))
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        file.add_tensor(f"blk.0.{part}.weight", np.zeros((width, width), dtype=np.float32))
    for part, shape in (("gate", (32, width)), ("up", (32, width)), ("down", (width, 32))):
        file.add_tensor(f"blk.0.ffn_{part}.weight", np.zeros(shape, dtype=np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def _sentencepiece(piece: str) -> str:
    return piece.replace(" ", "\u2581")


def _gpt2(piece: str) -> str:
    return "".join(map(_gpt2_byte, piece.encode()))


def _gpt2_byte(byte: int) -> str:
    """Return the character that stands for a byte in such a vocabulary: itself where it shows, else one from U+0100 on."""
    showing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [other for other in range(256) if other not in showing]
    return chr(byte) if byte in showing else chr(0x100 + hidden.index(byte))
