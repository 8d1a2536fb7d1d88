"""Configure Sphinx; a build needs no network."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mergeparam"
author = "the mergeparam developers"
copyright = author  # noqa: A001 - Sphinx chose the name
version = release = metadata.version("mergeparam")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "docstrings",
    "house",
    "rules",
    "run_at_build",
]
exclude_patterns = ["_examples"]

myst_enable_extensions = ["colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Pages of other projects are not looked up, so that a build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(inspect|functools|collections|typing|types|enum)\..*"),
    ("py:class", r"(mergeparam\.[\w.]+\.)?(\w|Unset)"),  # type variables, items of lists
]

html_theme = "furo"
html_title = f"mergeparam {version}"
html_theme_options = {
    "source_repository": "https://github.com/mergeparam/mergeparam",
    "source_branch": "main",
    "source_directory": "docs/",
}
# A session is copied without its prompts and without what it prints.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.printed) > div.highlight > pre"
linkcheck_anchors_ignore_for_url = ["https://github.com/.*"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
