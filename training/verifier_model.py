"""The network of the verifier, for training: MiniLM over both questions at once, and a small head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertModel

__all__ = ["CrossEncoder", "Reader", "batches_of", "tensors"]

_TOKENS = 3072  # in one batch, padding included
_POOL = 64  # batches that are sorted by length together
WIDTH = 384
HIDDEN = 128


class CrossEncoder(nn.Module):
    """One logit for a pair. The head reads the first marker, and the means over each question as the embedder makes
    them: what it starts from are vectors that already say how alike two questions are.

    Args:
        source: folder of all-MiniLM-L6-v2.
    """

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.encoder = BertModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="sdpa")
        self.encoder.embeddings.word_embeddings.weight.requires_grad_(False)
        self.hidden = nn.Linear(3 * WIDTH, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """Logits of shape (pairs,).

        Args:
            ids: of the tokens, shape (pairs, length).
            segments: 0 for the first question, 1 for the second, of the same shape.
            mask: 1 for tokens, 0 for padding.
        """
        states = self.encoder(ids, attention_mask=mask, token_type_ids=segments).last_hidden_state
        second = (segments * mask).unsqueeze(-1).to(states.dtype)
        first = mask.unsqueeze(-1).to(states.dtype) - second
        left = (states * first).sum(1) / first.sum(1)
        right = (states * second).sum(1) / second.sum(1)
        read = torch.cat([states[:, 0], (left - right).abs(), left * right], dim=1)
        return self.out(self.dropout(torch.nn.functional.gelu(self.hidden(read)))).squeeze(-1)


class Reader:
    """Pairs of texts as token ids."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def __call__(self, pairs: Sequence[tuple[str, str]], longest: int) -> list[tuple[list[int], list[int]] | None]:
        """(ids, segments) of each pair; None for one of more than `longest` tokens."""
        read = self._tokenizer.encode_batch(list(pairs))
        return [(one.ids, one.type_ids) if len(one.ids) <= longest else None for one in read]


def batches_of(lengths: Sequence[int], order: Sequence[int], most_pairs: int) -> list[list[int]]:
    """Places in batches of about equal length, so that little is padded. `order` decides which come together at all."""
    batches: list[list[int]] = []
    span = most_pairs * _POOL
    for start in range(0, len(order), span):
        batch: list[int] = []
        for place in sorted(order[start : start + span], key=lambda at: lengths[at]):
            if batch and (len(batch) == most_pairs or lengths[place] * (len(batch) + 1) > _TOKENS):
                batches.append(batch)
                batch = []
            batch.append(place)
        batches.append(batch)
    return batches


def tensors(pairs: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    """(ids, segments, mask), padded to the longest."""
    longest = max(len(ids) for ids, _ in pairs)
    shape = (len(pairs), longest)
    ids, segments, mask = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    for row, (tokens, segment) in enumerate(pairs):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        segments[row, : len(tokens)] = torch.tensor(segment)
        mask[row, : len(tokens)] = 1
    return ids, segments, mask
