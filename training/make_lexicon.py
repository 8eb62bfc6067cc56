"""Make the lexicon of English words from WordNet 3.0: which words mean the same, which stand beside each other.

    python training/make_lexicon.py FOLDER

FOLDER holds WordNet's `data.*`, `index.*`, `*.exc` and `cntlist.rev` (Debian: `apt-get download wordnet-base`, then
`dpkg -x` and `usr/share/wordnet`). Writes `llmcache_plugins/matching/lexicon/english.npz`; the same files give the same
bytes. Of each word the first senses are taken, which are the commonest.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from llmcache_plugins.matching.lexicon import KINDS, RELATIONS
from llmcache_plugins.matching.stems import stem_of

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "llmcache_plugins" / "matching" / "lexicon" / "english.npz"
DIGEST = "ae0fbd1bb09ef67b"
SENSES = 4  # of a word as one part of speech; rarer ones make everything a synonym of everything
PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
SENSE_TYPES = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}  # in the keys of the file of counts
NAMES_OF_KINDS = {"n": "notion", "v": "verb", "a": "other", "r": "other"}
# Numbers of lexicographer files: animal, artifact, body, food, location, object, person, plant, substance.
THINGS = frozenset((5, 6, 8, 13, 15, 17, 18, 20, 27))
POINTERS = {
    "near": frozenset(("&", "$", "^", "+", "\\")),  # similar, same group of verbs, see also, derived, pertaining to
    "above": frozenset(("@", "@i")),  # what it is a kind of
    "opposite": frozenset(("!",)),
}


class Sense(NamedTuple):
    """A set of synonyms: its words, and the sets it points to by kind of pointer."""

    words: tuple[str, ...]
    pointers: Mapping[str, frozenset[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    found = digest_of(arguments.folder)
    if found != DIGEST:
        parser.error(f"these are not the files of WordNet 3.0 that the lexicon is made from (digest {found})")
    content = lexicon_of(arguments.folder)
    arguments.output.write_bytes(packed(content))
    print(
        f"wrote {arguments.output.name}: {len(content['words'].tobytes().split()):,} stems, "
        f"{arguments.output.stat().st_size:,} bytes"
    )


def digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in files_of(folder):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def files_of(folder: Path) -> list[Path]:
    names = [*(f"{kind}.{part}" for kind in ("data", "index") for part in PARTS), *(f"{part}.exc" for part in PARTS)]
    return [folder / name for name in (*names, "cntlist.rev")]


def _is_plain(word: str) -> bool:
    return word.isalpha() and word.isascii() and len(word) > 1


def lexicon_of(folder: Path) -> dict[str, np.ndarray]:
    """Arrays by name: `words`, and for each relation the numbers of sets of each stem, one after the other."""
    ranks, senses = ranks_of(folder), dict(senses_of(folder))
    own: defaultdict[str, set[str]] = defaultdict(set)  # stem -> its sets
    by_word: defaultdict[str, set[str]] = defaultdict(set)
    for name, sense in senses.items():
        for word in sense.words:
            if _is_plain(word) and ranks.get((word, name), SENSES) < SENSES:
                own[stem_of(word)].add(name)
                by_word[word].add(name)
    for word, base in irregular_forms(folder):
        if _is_plain(word) and base in by_word:
            own[stem_of(word)] |= by_word[base]
    linked = {kind: links(senses, kind) for kind in POINTERS}
    sets: dict[str, dict[str, set[str]]] = {"own": dict(own)}
    for kind, to in linked.items():
        sets[kind] = {stem: set().union(*(to.get(name, ()) for name in names)) for stem, names in own.items()}
    used = sorted({name for of_stem in sets.values() for names in of_stem.values() for name in names})
    numbers = {name: number for number, name in enumerate(used)}
    stems = sorted(own)
    content = {"words": np.frombuffer("\n".join(stems).encode("ascii"), np.uint8)}
    kinds = kinds_of(folder)
    content["kinds"] = np.array([KINDS.index(kinds.get(stem, "other")) for stem in stems], np.uint8)
    for relation in RELATIONS:
        rows = [sorted(numbers[name] for name in sets[relation][stem]) for stem in stems]
        content[f"{relation}_ends"] = np.cumsum([len(row) for row in rows], dtype=np.uint32)
        content[relation] = np.array([number for row in rows for number in row], np.uint32)
    return content


def links(senses: Mapping[str, Sense], kind: str) -> dict[str, set[str]]:
    """Set -> the sets it is linked to; both ways, but for what stands above."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, sense in senses.items():
        for other in sense.pointers[kind]:
            found[name].add(other)
            if kind != "above":
                found[other].add(name)
    return found


def ranks_of(folder: Path) -> dict[tuple[str, str], int]:
    """(word, set) -> 0 for its commonest sense."""
    ranks = {}
    for part, letter in PARTS.items():
        for fields in lines_of(folder / f"index.{part}"):
            for rank, offset in enumerate(fields[6 + int(fields[3]) :]):
                ranks[fields[0], letter + offset] = rank
    return ranks


def kinds_of(folder: Path) -> dict[str, str]:
    """Stem -> what it mostly is: the commonest sense of the part of speech that was counted most often."""
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    for line in (folder / "cntlist.rev").read_text("utf-8").splitlines():
        key, _, count = line.split()
        word, _, rest = key.partition("%")
        counts[stem_of(word), SENSE_TYPES[rest[0]]] += int(count)
    found: dict[str, tuple[int, str]] = {}
    for part, letter in PARTS.items():
        files = {fields[0]: int(fields[1]) for fields in lines_of(folder / f"data.{part}")}
        for fields in lines_of(folder / f"index.{part}"):
            if not _is_plain(fields[0]):
                continue
            stem = stem_of(fields[0])
            kind = "thing" if letter == "n" and files[fields[6 + int(fields[3])]] in THINGS else NAMES_OF_KINDS[letter]
            if stem not in found or counts[stem, letter] > found[stem][0]:
                found[stem] = counts[stem, letter], kind
    return {stem: kind for stem, (_, kind) in found.items()}


def senses_of(folder: Path) -> Iterator[tuple[str, Sense]]:
    for part, letter in PARTS.items():
        for fields in lines_of(folder / f"data.{part}"):
            count = int(fields[3], 16)
            words = tuple(fields[4 + 2 * place].split("(")[0].lower() for place in range(count))
            yield letter + fields[0], Sense(words, pointers_of(fields[4 + 2 * count :]))


def pointers_of(fields: list[str]) -> dict[str, frozenset[str]]:
    """Four fields each: kind, offset, part of speech ("s" is an adjective, too), words."""
    found = [
        (fields[place], fields[place + 2].replace("s", "a") + fields[place + 1])
        for place in range(1, 1 + 4 * int(fields[0]), 4)
    ]
    return {kind: frozenset(name for sign, name in found if sign in signs) for kind, signs in POINTERS.items()}


def lines_of(path: Path) -> Iterator[list[str]]:
    """The fields of each line; the licence at the beginning of a file is indented."""
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith(" "):
            yield line.split("|")[0].split()


def irregular_forms(folder: Path) -> Iterable[tuple[str, str]]:
    """("wrote", "write")"""
    for part in PARTS:
        for line in (folder / f"{part}.exc").read_text("utf-8").splitlines():
            word, *bases = line.split()
            yield from ((word, base) for base in bases)


def packed(content: Mapping[str, np.ndarray]) -> bytes:
    """An .npz with the same bytes on every run: no time stands in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in sorted(content.items()):
            part = io.BytesIO()
            np.save(part, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return file.getvalue()


if __name__ == "__main__":
    main()
