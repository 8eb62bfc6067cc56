"""Run the notebooks of examples/ and look at what comes out.

python tests/notebooks/tool.py            run all, keep the new outputs in the files
python tests/notebooks/tool.py NAME ...   only these
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

__all__ = ["NOTEBOOKS", "executed", "outputs_of"]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
_SECONDS = 300  # for one cell
# What differs from run to run: times, ids, ports, addresses.
_VARYING = re.compile(r"\d+(?:[.,]\d+)* ?(?:ms|µs|s)\b|0x[0-9a-f]+|127\.0\.0\.1:\d+|\b[0-9a-f-]{20,}\b")
_SPACES = re.compile(r"[ \t]+")


def executed(path: Path) -> Any:
    """The notebook after a run from top to bottom, in a kernel of its own beside the other examples.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    )
    client.execute()
    return tidy(notebook)


def tidy(notebook: Any) -> Any:
    """Without what says when and where it ran."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Lines that were printed at once stand in one output, however the kernel cut them."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def outputs_of(notebook: Any) -> list[tuple[str, list[str]]]:
    """(source, texts) of each code cell; what varies is masked, and a cell tagged `varies` has the kinds alone."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            is_varying = "varies" in cell.metadata.get("tags", [])
            found.append((cell.source, [one for output in cell.outputs for one in _texts(output, is_varying)]))
    return found


def _texts(output: Any, is_varying: bool) -> list[str]:
    if output.output_type == "stream":
        kind, text = output.name, output.text
    elif output.output_type == "error":
        kind, text = "error", output.ename
    else:
        data = output.data
        kind = "image" if any(name.startswith("image/") for name in data) else "data"
        text = "" if kind == "image" else str(data.get("text/plain", ""))
    return [kind if is_varying else f"{kind}: {_SPACES.sub(' ', _VARYING.sub('#', text)).strip()}"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the notebooks of examples/ and keep their outputs.")
    parser.add_argument("names", nargs="*", help="of notebooks, without .ipynb; all when none is given")
    names = parser.parse_args().names
    paths = [EXAMPLES / f"{name}.ipynb" for name in names] or NOTEBOOKS
    for path in paths:
        print(path.name, flush=True)
        nbformat.write(executed(path), path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
