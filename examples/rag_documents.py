"""Retrieval that is answered before it retrieves, until one of its documents changes: LangChain, then LlamaIndex.

Runs offline, with `pip install 'llmcache-plugins[langchain,llama-index,local]'`: `python examples/rag_documents.py`
"""

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import Document as LlamaDocument
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM

from llmcache_plugins import open_cache
from llmcache_plugins.langchain import cached_chain, invalidate_documents
from llmcache_plugins.llama_index import cached_query_engine

cache = open_cache("memory://")


# LangChain's indexing API tells its record manager what was changed or deleted.
class Records(InMemoryRecordManager):
    def delete_keys(self, keys):
        super().delete_keys(keys)
        print(invalidate_documents(cache, keys).count, "answers of LangChain are gone")


store, records = InMemoryVectorStore(DeterministicFakeEmbedding(size=8)), Records("handbook")


def load(**pages):
    documents = [Document(text, metadata={"source": source}) for source, text in pages.items()]
    index(documents, records, store, cleanup="incremental", source_id_key="source", key_encoder="sha256")


load(password="Use the link under the form.", invoice="Invoices come by mail.")
prompt = ChatPromptTemplate.from_template("{context}\n\n{question}")
model = FakeListChatModel(responses=["Use the link.", "Call the help desk."])
steps = {"context": store.as_retriever(), "question": RunnablePassthrough()}
chain = cached_chain(steps | prompt | model | StrOutputParser(), cache)

print(chain.invoke("How do I reset my password?"))  # Use the link.
print(chain.invoke("How can I reset my password?"))  # Use the link.
load(password="Call the help desk.")  # 1 answers of LangChain are gone
print(chain.invoke("How can I reset my password?"))  # Call the help desk.

# LlamaIndex says which documents it refreshed.
pages = [LlamaDocument(text="Use the link.", id_="p/1"), LlamaDocument(text="By mail.", id_="p/2")]
pages_index = VectorStoreIndex.from_documents(pages, embed_model=MockEmbedding(embed_dim=8))
engine = cached_query_engine(pages_index.as_query_engine(llm=MockLLM()), cache)
engine.query("How do I reset my password?")
print(len(engine.query("How can I reset my password?").source_nodes), "source nodes, restored")
pages[0] = LlamaDocument(text="Call the help desk.", id_="p/1")
refreshed = [page.id_ for page, is_new in zip(pages, pages_index.refresh_ref_docs(pages), strict=True) if is_new]
print(refreshed, invalidate_documents(cache, refreshed).count)  # ['p/1'] 1
cache.close()
