"""The arguments of each command: a module reads them into the options of a `run_...` and does nothing else.

To add a command, write a module here that ends in a `Command`, and name it in `cli/app.py`.
"""

from llmcache_plugins.errors import MissingExtraError

try:  # once for all modules in here: each of them imports this one first
    import typer
except ImportError as error:
    raise MissingExtraError("llmcache", "cli") from error

__all__ = ["typer"]
