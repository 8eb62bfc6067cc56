"""Mermaid text becomes a picture while the site is built."""

from __future__ import annotations

import hashlib
from typing import Any

import mermaidx

# Text is measured with DejaVu Sans while the picture is made; Verdana has the same widths.
_SETTINGS = """---
config:
  theme: neutral
  themeVariables:
    fontFamily: "DejaVu Sans, Verdana, sans-serif"
    fontSize: 15px
  flowchart:
    wrappingWidth: 330
    rankSpacing: 28
    nodeSpacing: 28
    padding: 9
---
"""


def draw(source: str, *_: Any, **__: Any) -> str:
    """The fence of pymdownx.superfences: an SVG element that needs no script, no font and no style from elsewhere."""
    svg: str = mermaidx.render(_SETTINGS + source).svg()
    # The styles of a picture go by its id, and a page may have several.
    own = "diagram-" + hashlib.blake2b(source.encode(), digest_size=6).hexdigest()
    return f'<div class="diagram">{svg.replace("my-svg", own)}</div>'
