"""Write the trained model as GGUF (Q8_0), with a manifest, and compare its scores with those of PyTorch.

python -m training.factory_llm.export /tmp/factory_llm/checkpoint.pt --out hybridrt/local/factory/actions.gguf
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import torch

from hybridrt.local.action.table import ACTIONS, action_mark, slot_mark, word_mark
from training.factory_llm import token
from training.factory_llm.model import Llama, Shape
from training.placeholder_llm import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED

NAME = "hybridrt-actions"
DESCRIPTION = "Parses a short request on the device into one action, or says escalate. It does not chat."
# The one message is the folded request; the space in front makes its first word like every other.
CHAT_TEMPLATE = "{{ bos_token }}{% for message in messages %} {{ message['content'] }}{% endfor %}" + token.ASK


def vocabulary() -> tuple[list[bytes], list[int], list[float]]:
    """Return texts, types and scores. The marks are words that no text can become: no two pieces of theirs are in the list."""
    texts = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), "\u2581".encode()]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, NORMAL]
    scores = [0.0] * 259 + [-1e6]
    said = {token.ASK: token.ASK}
    said |= {mark: action_mark(name) for mark, name in zip(token.ACTIONS, token.SLOTS, strict=True)}
    said |= {mark: slot_mark(mark[2:-3]) for mark in token.SLOT_MARKS}
    said |= {mark: word_mark(mark[3:-2]) for mark in token.WORD_MARKS}
    for mark in token.MARKS:
        texts.append(said[mark].encode())
        kinds.append(CONTROL if mark == token.ASK else NORMAL)
        scores.append(-1e6)
    for rank, piece in enumerate(token.load().pieces):
        texts.append(piece.encode())
        kinds.append(NORMAL)
        scores.append(-float(rank))
    while len(texts) % 32:
        texts.append(f"<pad{len(texts)}>".encode())
        kinds.append(UNUSED)
        scores.append(-1e6)
    return texts, kinds, scores


def write(path: Path, model: Llama) -> None:
    """Write the model."""
    shape = model.shape
    texts, kinds, scores = vocabulary()
    assert len(texts) == shape.vocabulary
    file = gguf.GGUFWriter(path, "llama")
    file.add_name(NAME)
    file.add_description(DESCRIPTION)
    file.add_license("apache-2.0")
    file.add_context_length(shape.window)
    file.add_embedding_length(shape.width)
    file.add_block_count(shape.layers)
    file.add_feed_forward_length(shape.feed_forward)
    file.add_head_count(shape.heads)
    file.add_head_count_kv(shape.heads)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(shape.width // shape.heads)
    file.add_rope_freq_base(10000.0)
    file.add_vocab_size(len(texts))
    file.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    file.add_tokenizer_model("llama")
    file.add_tokenizer_pre("default")
    file.add_token_list(texts)
    file.add_token_scores(scores)
    file.add_token_types(kinds)
    file.add_bos_token_id(token.BOS)
    file.add_eos_token_id(token.EOS)
    file.add_unk_token_id(token.UNK)
    file.add_add_bos_token(True)
    file.add_add_eos_token(False)
    file.add_add_space_prefix(False)
    file.add_chat_template(CHAT_TEMPLATE)
    weights = {name: weight.detach().float().numpy() for name, weight in model.state_dict().items()}
    for name, weight in weights.items():
        known = name.replace("layers.", "blk.")
        if weight.ndim == 1:
            file.add_tensor(known, weight)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            file.add_tensor(known, gguf.quants.quantize(np.ascontiguousarray(weight), kind), raw_dtype=kind)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def read(checkpoint: Path) -> Llama:
    """Return the model of a checkpoint."""
    state = torch.load(checkpoint, map_location="cpu")
    model = Llama(Shape(**state["shape"]))
    model.load_state_dict(state["model"])
    return model.eval()


PARITY = (
    "set a timer for ten minutes",
    "remind me to call ana at 5:30pm tomorrow",
    "caf\u00e9 r\u00e9servation <|action|> 17h30",
    "what is the meaning of life",
)


def parity(model: Llama) -> list[dict[str, object]]:
    """Return what PyTorch says to a few requests: tokens, and the scores of the actions after them."""
    tokenizer = token.load()
    rows: list[dict[str, object]] = []
    for text in PARITY:
        tokens = [token.BOS, *tokenizer.encode(text), tokenizer.marks[token.ASK]]
        with torch.no_grad():
            scores = model(torch.tensor([tokens]))[0, -1]
        first = tokenizer.marks[token.ACTIONS[0]]
        rows.append(
            {
                "text": text,
                "tokens": tokens,
                "first": first,
                "scores": [round(score, 4) for score in scores[first : first + len(ACTIONS)].tolist()],
            }
        )
    return rows


def manifest(path: Path, model: Llama) -> dict[str, object]:
    """Say what the file is, as it ships beside it; the certificate is added by `calibrate`."""
    data = path.read_bytes()
    return {
        "schema": 1,
        "name": NAME,
        "what": DESCRIPTION,
        "placeholder": False,
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "licence": "Apache-2.0",
        "architecture": "llama",
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "quantisation": "Q8_0",
        "template": CHAT_TEMPLATE,
        "tasks": list(ACTIONS),
        "made_by": "python -m training.factory_llm",
        "parity": parity(model),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = read(options.checkpoint)
    write(options.out, model)
    facts = manifest(options.out, model)
    options.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"{options.out}: {facts['size']} bytes, {facts['parameters']} parameters, sha256 {facts['sha256']}")


if __name__ == "__main__":
    main()
