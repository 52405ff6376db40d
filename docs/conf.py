"""Configuration of the documentation site: ``make docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from superionic import __version__

project = "superionic"
author = "The superionic developers"
copyright = "The superionic developers, BSD-3-Clause"
version = release = __version__

extensions = ["myst_parser", "sphinx_design", "superionic_docs"]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = f"superionic {__version__}"
html_static_path = ["_static"]
html_css_files = ["superionic.css"]
# Pages without pages below them have nothing to navigate.
html_sidebars: dict[str, list[str]] = {
    page: [] for page in ("index", "tutorial", "physics", "tables", "limits")
}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
