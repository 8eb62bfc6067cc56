"""The bridges with stand-ins; tests/integration has the real frameworks."""

from __future__ import annotations

import numpy as np
import pytest

from llmcache_plugins.embedders import LangChainEmbedder, LlamaIndexEmbedder, OnnxEmbedder, as_embedder
from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.protocols import AsyncEmbedder
from llmcache_plugins.testing.embedder import FakeEmbedder


class Remote:
    """Speaks like both frameworks; answers with what it was given, or raises it."""

    def __init__(self, answer, **attributes):
        self.answer = answer
        self.calls = []
        self.__dict__.update(attributes)

    def embed_documents(self, texts):
        self.calls.append(texts)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def aembed_documents(self, texts):
        return self.embed_documents(texts)

    get_text_embedding_batch = embed_documents
    aget_text_embedding_batch = aembed_documents


bridges = pytest.mark.parametrize("bridge", [LangChainEmbedder, LlamaIndexEmbedder])


@bridges
async def test_rows_are_float32_of_unit_length_sync_and_async(bridge):
    remote = Remote([[3.0, 4.0], [5.0, 0.0]], model="m")
    embedder = bridge(remote)
    for vectors in (embedder.embed(("a", "b")), await embedder.aembed(("a", "b"))):
        assert vectors.dtype == np.float32
        assert vectors == pytest.approx(np.array([[0.6, 0.8], [1.0, 0.0]]))
    assert remote.calls == [["a", "b"], ["a", "b"]]
    assert isinstance(embedder, AsyncEmbedder)


@bridges
async def test_no_texts_make_no_call(bridge):
    remote = Remote([[1.0, 0.0]], model="m")
    embedder = bridge(remote)
    assert embedder.embed([]).shape[0] == (await embedder.aembed([])).shape[0] == 0
    assert remote.calls == []


@bridges
@pytest.mark.parametrize("answer", [[[1.0]], [[0.0], [1.0]], "nonsense", ConnectionError("https://key@host: secret")])
async def test_what_goes_wrong_is_an_embedder_error_without_its_text(bridge, answer):
    embedder = bridge(Remote(answer))
    with pytest.raises(EmbedderError) as sync_error:
        embedder.embed(["a", "b"])
    with pytest.raises(EmbedderError) as async_error:
        await embedder.aembed(["a", "b"])
    assert "secret" not in str(sync_error.value) + str(async_error.value)


@bridges
def test_a_model_that_changes_its_dimension_is_an_error(bridge):
    remote = Remote([[1.0, 0.0]])
    embedder = bridge(remote)
    embedder.embed(["a"])
    remote.answer = [[1.0, 0.0, 0.0]]
    with pytest.raises(EmbedderError, match="earlier ones had 2"):
        embedder.embed(["a"])


@bridges
def test_id_names_module_class_model_and_size_but_no_key(bridge):
    remote = Remote([], model_name="text-embedding-3-small", dimensions=256, api_key="sk-1", base_url="https://host")
    embedder_id = bridge(remote).embedder_id
    assert embedder_id.endswith(":" + f"{Remote.__module__}.Remote/text-embedding-3-small/256/unit")
    assert "sk-1" not in embedder_id
    assert "host" not in embedder_id
    assert bridge(Remote([], model="other")).embedder_id != embedder_id


@bridges
def test_models_without_a_name_are_told_apart_by_their_vectors(bridge):
    first, again = bridge(Remote([[0.6, 0.8]])), bridge(Remote([[0.6000001, 0.8]]))
    other, wider = bridge(Remote([[0.8, 0.6]])), bridge(Remote([[0.6, 0.8, 0.0]]))
    assert first.embedder_id == again.embedder_id
    assert len({first.embedder_id, other.embedder_id, wider.embedder_id}) == 3
    assert bridge(Remote([[0.6, 0.8]], model_name="unknown")).embedder_id == first.embedder_id


@bridges
def test_a_model_without_a_name_that_fails_shares_its_vectors_with_nobody(bridge, caplog):
    failing = Remote(ConnectionError("https://key@host: secret"))
    assert bridge(failing).embedder_id != bridge(failing).embedder_id
    assert "give embedder_id=" in caplog.text
    assert "secret" not in caplog.text


@bridges
def test_a_given_id_is_used(bridge):
    assert bridge(Remote([]), embedder_id="mine").embedder_id == "mine"
    with pytest.raises(ConfigError, match="embedder_id"):
        bridge(Remote([]), embedder_id="")


@bridges
def test_long_texts_do_not_fit_unless_the_user_says_so(bridge):
    assert bridge(Remote([])).fits("x" * 1000)
    assert not bridge(Remote([])).fits("x" * 1001)
    assert bridge(Remote([]), max_chars=None).fits("x" * 1_000_000)
    with pytest.raises(ConfigError, match="max_chars"):
        bridge(Remote([]), max_chars=0)


def test_an_embedder_stays_itself():
    embedder = FakeEmbedder()
    assert as_embedder(embedder) is embedder


@pytest.mark.parametrize(
    ("given", "named"),
    [(object(), "object"), ("all-MiniLM-L6-v2", "str"), (None, "NoneType"), (OnnxEmbedder, "class OnnxEmbedder")],
)
def test_anything_else_is_refused_by_its_type(given, named):
    with pytest.raises(ConfigError, match=named) as error:
        as_embedder(given)
    assert "MiniLM" not in str(error.value)
