"""The network of the verifier, for training: MiniLM whose lower layers read each question alone, as in the embedder,
and whose upper layers read both together.

Layers that read a question alone keep what the embedder knows, which a cross-encoder from the same weights forgets: on
the choose part of the labelled questions one of those, trained for twice as long, told them apart no better than their
cosine. Reading apart first and together later is from Cao et al., "DeFormer: Decomposing Pre-trained Transformers for
Faster Question Answering" (ACL 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertModel

__all__ = ["ALONE", "CrossEncoder", "Reader", "batches_of", "padded"]

_TOKENS = 4096  # in one batch, both questions and padding included
_POOL = 64  # batches that are sorted by length together
_CLOSED = -1e4  # added to what attention must not see; bfloat16 holds it
WIDTH = 384
HIDDEN = 128
ALONE = 3  # layers that read one question; they stay as they are in the embedder, and so do the embeddings
# The logit begins as about that of "this cosine means the same", by a logistic regression over labelled questions.
_FROM_COSINE = (12.0, -9.5)

Pair = tuple[list[int], list[int]]


class CrossEncoder(nn.Module):
    """One logit for a pair: from the cosine of the means over each question, as the embedder makes them, and from a
    small head that reads both first markers, and what the means have apart and in common.

    Args:
        source: folder of all-MiniLM-L6-v2.
    """

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.encoder = BertModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="sdpa")
        self.encoder.embeddings.requires_grad_(False)
        for layer in self._alone:
            layer.requires_grad_(False)
        self.side = nn.Embedding(2, WIDTH)  # says to the upper layers which question a token is of
        nn.init.normal_(self.side.weight, std=0.02)
        self.hidden = nn.Linear(4 * WIDTH, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.dropout = nn.Dropout(0.1)
        self.cosine = nn.Parameter(torch.tensor(_FROM_COSINE))

    @property
    def _alone(self) -> nn.ModuleList:
        return self.encoder.encoder.layer[:ALONE]

    @property
    def _together(self) -> nn.ModuleList:
        return self.encoder.encoder.layer[ALONE:]

    def forward(self, first: Tensor, first_mask: Tensor, second: Tensor, second_mask: Tensor) -> Tensor:
        """Logits of shape (pairs,).

        Args:
            first: token ids of the first questions, with their markers, shape (pairs, length).
            first_mask: 1.0 for tokens, 0.0 for padding, of the same shape.
            second: as `first`; its length may differ.
            second_mask: as `first_mask`.
        """
        left, right = self._read_alone(first, first_mask), self._read_alone(second, second_mask)
        states = torch.cat([left + self.side.weight[0], right + self.side.weight[1]], dim=1)
        mask = torch.cat([first_mask, second_mask], dim=1)
        states = _through(self._together, states, mask).float()
        length = first.shape[1]
        left, right = _mean(states[:, :length], first_mask), _mean(states[:, length:], second_mask)
        read = torch.cat([states[:, 0], states[:, length], (left - right).abs(), left * right], dim=1)
        more = self.out(self.dropout(torch.nn.functional.gelu(self.hidden(read)))).squeeze(-1)
        return self.cosine[0] * torch.nn.functional.cosine_similarity(left, right) + self.cosine[1] + more

    @torch.no_grad()
    def _read_alone(self, ids: Tensor, mask: Tensor) -> Tensor:
        return _through(self._alone, self.encoder.embeddings(input_ids=ids), mask)


def _through(layers: nn.ModuleList, states: Tensor, mask: Tensor) -> Tensor:
    closed = ((1.0 - mask) * _CLOSED)[:, None, None, :].expand(-1, 1, states.shape[1], -1).to(states.dtype)
    for layer in layers:
        found = layer(states, closed)
        states = found[0] if isinstance(found, tuple) else found
    return states


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    kept = mask.unsqueeze(-1)
    return (states * kept).sum(1) / kept.sum(1)


class Reader:
    """Pairs of texts as token ids, each question with its own markers."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def __call__(self, pairs: Sequence[tuple[str, str]], longest: int) -> list[Pair | None]:
        """(ids of the first, ids of the second) of each pair; None for one of more than `longest` tokens together."""
        first = self._tokenizer.encode_batch([pair[0] for pair in pairs])
        second = self._tokenizer.encode_batch([pair[1] for pair in pairs])
        return [
            (left.ids, right.ids) if len(left.ids) + len(right.ids) <= longest else None
            for left, right in zip(first, second, strict=True)
        ]


def batches_of(pairs: Sequence[Pair], order: Sequence[int], most_pairs: int) -> list[list[int]]:
    """Places in batches of about equal length, so that little is padded. `order` decides which come together at all."""
    batches: list[list[int]] = []
    span = most_pairs * _POOL
    for start in range(0, len(order), span):
        batch: list[int] = []
        for place in sorted(order[start : start + span], key=lambda at: _longer(pairs[at])):
            if batch and (len(batch) == most_pairs or 2 * _longer(pairs[place]) * (len(batch) + 1) > _TOKENS):
                batches.append(batch)
                batch = []
            batch.append(place)
        batches.append(batch)
    return batches


def _longer(pair: Pair) -> int:
    return max(len(pair[0]), len(pair[1]))


def padded(pairs: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(first, its mask, second, its mask), each padded to its longest."""
    return (*_padded([pair[0] for pair in pairs]), *_padded([pair[1] for pair in pairs]))


def _padded(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    shape = (len(rows), max(len(row) for row in rows))
    ids, mask = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1.0
    return ids, mask
