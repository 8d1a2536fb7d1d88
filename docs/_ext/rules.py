"""Write a page for each rule of `mergeparam check`, from the texts that `--explain` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mergeparam._static.rules import load_rules

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_GROUPS = {
    "MP1": "Merges by hand",
    "MP2": "Classes with `@mergeable`",
    "MP9": "Off by default",
}
_INDEX = """\
# Rules of `mergeparam check`

{}
```{{toctree}}
:hidden:

{}
```
"""


def _write_pages(app: Sphinx) -> None:
    """Write the pages before Sphinx looks for its sources; those that are the same stay."""
    folder, rules = Path(app.srcdir) / "reference" / "rules", load_rules()
    pages = {f"{code.lower()}.md": str(rule) for code, rule in rules.items()}
    groups = []
    for group, title in _GROUPS.items():
        codes = [code for code in rules if code.startswith(group)]
        items = [f"- [{code}]({code.lower()}.md): {rules[code].title}" for code in codes]
        groups.append("\n".join([f"## {title}\n", *items, ""]))
    pages["index.md"] = _INDEX.format("\n".join(groups), "\n".join(map(str.lower, rules)))
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Write the pages when a build begins."""
    app.connect("builder-inited", _write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
