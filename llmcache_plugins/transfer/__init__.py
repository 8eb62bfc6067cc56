"""Entries from one cache to another: the file they travel in, and what comes of it. docs/transfer.md has the format.

cache.export_to("answers.jsonl.gz")
print(other.import_from("answers.jsonl.gz"))
print(cache.copy_to(other))

And from one embedder to another: `cache.reembed()`, which docs/upgrading.md explains.
"""

from llmcache_plugins.transfer.lines import FORMAT, FORMAT_VERSION
from llmcache_plugins.transfer.records import Header, Record
from llmcache_plugins.transfer.reembed import ReembedProgress, ReembedReport
from llmcache_plugins.transfer.report import Damage, TransferProgress, TransferReport

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "Damage",
    "Header",
    "Record",
    "ReembedProgress",
    "ReembedReport",
    "TransferProgress",
    "TransferReport",
]
