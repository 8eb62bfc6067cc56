"""What is stored and who can read it: a sealed file, a new key, no text of questions, and redaction.

Runs offline, with `pip install 'llmcache-plugins[local,encryption]'`: `python examples/encryption.py`
"""

import re
import secrets
import tempfile
from pathlib import Path

from llmcache_plugins import open_cache

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "answers.db"
url = f"disk://{path}"
key = secrets.token_bytes(32)  # keep it where you keep passwords; or LLMCACHE_ENCRYPTION_KEY, in Base64


def is_readable(word):
    return any(word in file.read_bytes() for file in path.parent.iterdir())


# 1. Sealed: it hits as ever, by meaning too, and the file holds no word of it.
cache = open_cache(url, encryption_key=key)
cache.update("How do I check the BGP status of rtr-001?", "It is Established.")
cache.update("How do I check the BGP status of rtr-002?", "It is Idle.")
hit = cache.lookup("How can I see the BGP status of rtr-001?")
print(hit.kind, hit.answer)  # semantic It is Established.
print(is_readable(b"BGP"), is_readable(b"Established"), is_readable(b"rtr-001"))  # False False False
cache.close()

# 2. A new key seals from now on; the old one still opens. Without it nothing is found.
new = secrets.token_bytes(32)
with_both = open_cache(url, encryption_key=[new, key])
print(with_both.lookup("How do I check the BGP status of rtr-001?").kind)  # exact
with_both.close()
with_other = open_cache(url, encryption_key=secrets.token_bytes(32))
print(with_other.lookup("How do I check the BGP status of rtr-001?").reason)  # no_candidates
with_other.close()

# 3. No text at all: the same question hits, no other.
textless = open_cache("memory://", store_text=False)
textless.update("What does my contract say?", "Thirty days.")
hit = textless.lookup("What does my contract say?")
print(hit.kind, repr(hit.matched_question))  # exact ''
print(textless.lookup("What is my contract saying?").reason)  # no_candidates

# 4. Redaction: what a function of yours takes out is not stored.
address = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
redacting = open_cache("memory://", redact=lambda question: address.sub("<address>", question))
redacting.update("Reset the password of ada@example.org", "Done.")
print(redacting.lookup("Reset the password of ada@example.org").matched_question)  # Reset the password of <address>
print(type(redacting.lookup("Reset the password of <address>")).__name__)  # Miss
folder.cleanup()
