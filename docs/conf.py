"""Configuration of the documentation site: ``make docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from superionic import __version__

project = "superionic"
author = "The superionic developers"
copyright = "The superionic developers, BSD-3-Clause"
version = release = __version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "superionic_docs",
]
exclude_patterns = ["_build", "_ext"]

# Notebooks are shown as they were run.
nb_execution_mode = "off"
nb_output_stderr = "remove"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# Docstrings say types in words.
autodoc_typehints = "none"
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"superionic {__version__}"
html_static_path = ["_static"]
html_css_files = ["superionic.css"]
html_sidebars: dict[str, list[str]] = {"index": []}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
