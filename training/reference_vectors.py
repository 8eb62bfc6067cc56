"""Embed the texts of the embedder's test with the real sentence-transformers, to compare the shipped model with.

    HF_HUB_OFFLINE=1 python training/reference_vectors.py --source FOLDER

Needs sentence-transformers and torch; FOLDER is the one `export_embedder.py` takes. Writes
tests/data/embedder/reference.npz.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "embedder"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder of the model")
    source = parser.parse_args().source
    texts = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
    model = SentenceTransformer(str(source), device="cpu")
    rows = [model.encode([text], normalize_embeddings=True, convert_to_numpy=True)[0] for text in texts]
    vectors = np.stack(rows).astype(np.float32)
    np.savez_compressed(FOLDER / "reference.npz", vectors=vectors)
    print(f"{vectors.shape[0]} vectors of {vectors.shape[1]} numbers")


if __name__ == "__main__":
    main()
