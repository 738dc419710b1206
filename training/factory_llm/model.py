"""The model: a Llama of one to two million parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """How large the model is. Widths are multiples of 32, the row length of Q8_0."""

    width: int = 160
    layers: int = 6
    heads: int = 5
    feed_forward: int = 448
    vocabulary: int = 1536
    window: int = 512


class _Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), eps=1e-5)


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.attn_norm, self.ffn_norm = _Norm(width), _Norm(width)
        self.attn_q, self.attn_k, self.attn_v, self.attn_output = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.ffn_gate, self.ffn_up = (nn.Linear(width, shape.feed_forward, bias=False) for _ in range(2))
        self.ffn_down = nn.Linear(shape.feed_forward, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        z = self.attn_norm(x)
        q, k, v = (part(z).view(batch, length, self.heads, width // self.heads) for part in (self.attn_q, self.attn_k, self.attn_v))
        q, k = _turned(q, cos, sin), _turned(k, cos, sin)
        # Written out: the fused backward pass of PyTorch takes a third of the whole step for rows this short.
        scores = (q.transpose(1, 2) @ k.permute(0, 2, 3, 1)).float() * (width // self.heads) ** -0.5
        scores = scores + torch.full((length, length), -1e9).triu(1)
        z = (scores.softmax(-1).to(v.dtype) @ v.transpose(1, 2)).transpose(1, 2)
        x = x + self.attn_output(z.reshape(batch, length, width))
        z = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(z)) * self.ffn_up(z))


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    # Pairs (0, 1), (2, 3), ...: the order of llama.cpp's architecture `llama`. Halves would train as well and be garbage there.
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class Llama(nn.Module):
    """Embeddings are tied: the file has no `output.weight`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.output_norm = _Norm(shape.width)
        size = shape.width // shape.heads
        turn = torch.arange(shape.window)[:, None] / 10000.0 ** (torch.arange(0, size, 2) / size)[None]
        self.register_buffer("cos", turn.cos()[:, None], persistent=False)
        self.register_buffer("sin", turn.sin()[:, None], persistent=False)
        nn.init.normal_(self.token_embd.weight, std=0.02)
        for name, weight in self.named_parameters():
            if weight.ndim == 2 and name != "token_embd.weight":
                deep = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(weight, std=shape.width**-0.5 * (0.5 if not deep else 0.5 / (2 * shape.layers) ** 0.5))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the score of every token at every place."""
        return self.scores(self.states(tokens))

    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """Return the score of every token."""
        return functional.linear(states, self.token_embd.weight)

    def states(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what the model makes of each place."""
        x = self.token_embd(tokens)
        length = tokens.shape[1]
        cos, sin = self.cos[:length].to(x.dtype), self.sin[:length].to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.output_norm(x)
