"""Hooks of mkdocs (mkdocs.yml names this file): pages made of other files, diagrams, and what no page may load."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # mkdocs imports a hook by its path, outside of any package

from documentation.command_line import commands_as_markdown  # noqa: E402
from documentation.diagrams import draw  # noqa: E402

_EXAMPLE_LINK = re.compile(r"\]\(\.\./examples/(\w+)\.py\)")
_COMMANDS = "<!-- the commands -->"
_NAMED_PAGE = re.compile(r"\bdocs/([\w-]+)\.md\b")
_LOADED = re.compile(r'<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="((?:https?:)?//[^"]*)"')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fences that begin with ```mermaid are drawn here: the theme would load a script from elsewhere to draw them."""
    fence = {"name": "mermaid", "class": "mermaid", "format": draw}
    settings: dict[str, Any] = config.mdx_configs.setdefault("pymdownx.superfences", {})
    settings["custom_fences"] = [fence]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Each example and the list of changes get a page: pages link to them, and they lie outside of docs/."""
    for path in sorted((ROOT / "examples").glob("*.py")):
        text = f"# {path.name}\n\n```python\n{path.read_text(encoding='utf-8')}```\n"
        files.append(File.generated(config, f"examples/{path.stem}.md", content=text))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    # It links from the top of the repository.
    changes = re.sub(r"\]\(docs/", "](", changes).replace("](examples/", "](../examples/")
    files.append(File.generated(config, "changes.md", content=changes))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to examples lead to their pages; the commands come from the program itself."""
    markdown = _EXAMPLE_LINK.sub(r"](examples/\1.md)", markdown)
    if _COMMANDS in markdown:
        markdown = markdown.replace(_COMMANDS, commands_as_markdown())
    return markdown


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Pages that docstrings name become links. Who reads the site tells nobody else: nothing is loaded from there."""
    if page.file.src_uri.startswith("reference/"):
        output = _NAMED_PAGE.sub(r'<a href="../\1.html">\1</a>', output)
    if found := _LOADED.findall(output):
        raise PluginError(f"{page.file.src_uri} would load {', '.join(sorted(set(found)))}")
    return output
