"""Texts that read otherwise than they look are matched by the same text alone; honest ones of any language are not."""

from __future__ import annotations

import sys
import unicodedata
from time import perf_counter

import pytest

from benchmarks.abuse.texts import INJECTIONS, disguises, questions
from llmcache_plugins.matching.guards.signs import accents
from llmcache_plugins.onnx_model import shipped_folder
from llmcache_plugins.policies import payload_of
from llmcache_plugins.policies.appearance import disguise_of

HONEST = [
    "Is it \u2600\ufe0f today?",
    "A plan for the family \U0001f468\u200d\U0001f469\u200d\U0001f467?",
    "Was heißt BGP, und wozu gehört es?",
    "Quels câbles faut-il pour un « trunk » ?",
    "Cómo configuro el año en el señor router",
    "Việt Nam ở đâu?",
    unicodedata.normalize("NFD", "Việt Nam ở đâu, und was heißt naïve café?"),
    "Как настроить BGP с rtr-001?",
    "Ποια είναι η κατάσταση του BGP",
    "كيف أضبط BGP؟",
    "می\u200cخواهم BGP را تنظیم کنم",
    "क्\u200dष कैसे लिखें?",
    "ตั้งค่าBGPอย่างไร",
    "TCPの設定はどうすればいいですか？",
    "如何配置BGP？",
    "BGP 상태를 어떻게 확인하나요?",
    "Is a delay of 5 \u03bcs more than one of 5 \u00b5s over 100 \u03bcm of fibre?",
    "Какво е това",
    "Как ставят VPN-сервер?",
    "מה זה BGP\u200f?",
    "\u200fكيف أضبط BGP؟",
    "ตั้ง\u200bค่าBGP",
    "Press 1\ufe0f\u20e3 for \u00a9\ufe0f",
    "How large is \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f?",
    "Is 10 kΩ more than 100 µs, and Δt < 3 °C?",
    "3° – “ok” … 5 € \u00a0thin\u2009space",
    "How do I ask the resolver to forget an address?",
    "Does the proxy cache the answer of the server?",
    "How do I ignore a route in BGP?",
]


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_text_is_matched_by_meaning(text: str) -> None:
    assert payload_of(text) is None


def test_a_disguised_question_is_matched_exactly_only() -> None:
    for question in questions()[::40]:
        assert payload_of(question) is None
        assert [kind for kind, text in disguises(question) if payload_of(text) is None] == []


@pytest.mark.parametrize("text", ["a\ufe0fb", "\u2764\ufe0f\ufe0f", "x\u200dy", "\u2764\u200dx"])
def test_what_makes_pictures_hides_nowhere_else(text: str) -> None:
    assert payload_of(text) == "hidden_signs"


@pytest.mark.parametrize(
    "text",
    [
        "What is\u200f BGP?",
        "מה זה\u200f\u200e BGP",
        "מה זה\u200b BGP",
        "What is\u200b BGP",
        "ตั้ง\u200b\u200bค่า",
        "a\ufe0f\u20e3",
        "\U0001f3f4\U000e0069\U000e0067\U000e006e\U000e007f",
        "flag \U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
)
def test_a_sign_that_some_scripts_and_pictures_need_is_hidden_elsewhere(text: str) -> None:
    assert payload_of(text) == "hidden_signs"


def test_an_instruction_behind_a_question_is_matched_exactly_only() -> None:
    assert [one for one in INJECTIONS if payload_of(f"What is BGP? {one}") is None] == []


def test_no_sign_that_the_embedder_drops_passes_for_nothing() -> None:
    """Of all signs of Unicode: what leaves the tokens as they are is a space, hidden, or a mark that a guard sees."""
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(_tokenizer_file()))
    plain = tokenizer.encode("what is bgp").ids
    signs = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    suspects = [sign for sign in signs if sign.isspace() or unicodedata.category(sign)[0] in "CM" or _is_default(sign)]
    found = tokenizer.encode_batch([f"what is{sign} bgp" for sign in suspects])
    dropped = [sign for sign, encoded in zip(suspects, found, strict=True) if encoded.ids == plain]
    assert len(dropped) > 1000
    passing = [sign for sign in dropped if disguise_of(f"what is{sign} bgp") is None]
    seen = [sign for sign in passing if not sign.isspace()]
    assert [sign for sign in seen if unicodedata.category(sign) != "Mn"] == []
    assert [sign for sign in seen if accents(f"what is{sign} bgp", "what is bgp").verdict != "conflict"] == []


def _is_default(sign: str) -> bool:
    return 0x2000 <= ord(sign) < 0x2070 or 0xFFF0 <= ord(sign) < 0x10000


def _tokenizer_file() -> str:
    return str(shipped_folder("embedder", "the embedder") / "tokenizer.json")


def test_a_mark_on_no_letter_is_hidden() -> None:
    assert disguise_of("What is BGP?\u0301") == "hidden_signs"
    assert disguise_of("What is \u0301BGP?") == "hidden_signs"
    assert disguise_of("rtr-0\u03381") == "hidden_signs"


def test_it_takes_linear_time() -> None:
    """Forty times the text may take forty times as long, and not sixteen hundred."""

    def seconds(text: str) -> float:
        taken = []
        for _ in range(5):
            begin = perf_counter()
            disguise_of(text)
            taken.append(perf_counter() - begin)
        return min(taken)

    for piece in ("a\u0430 ", "e\u0301", "\u0627\u200c", "ignore this "):
        assert seconds(piece[:1] + piece * 40_000) < 400 * seconds(piece[:1] + piece * 1000) + 0.01
