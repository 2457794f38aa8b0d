"""How the site of documents is made: ``nox -s site`` writes it to ``docs/_build``."""

from __future__ import annotations

import wasmtime

project = "wasmtime for Python"
author = "the authors of this package"
release = version = wasmtime.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# --- text ----------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# --- reference -----------------------------------------------------------------------------------

#: Docstrings name things in single backticks.
default_role = "py:obj"
autodoc_default_options = {
    "members": True,
    "inherited-members": "Exception, int, str, dict, Enum",
    "member-order": "groupwise",
}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    (f"Raises when {when}", "raises") for when in ("called", "applied", "entered")
]
# Short names, such as `type`, are attributes of several classes: these stay plain text.
suppress_warnings = ["ref.python"]
# Links into Python's documents need a network: sphinx-build -t online.
if tags.has("online"):  # type: ignore[name-defined] # noqa: F821
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {"python": ("https://docs.python.org/3", None)}

# --- looks ---------------------------------------------------------------------------------------

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"wasmtime for Python {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False

# --- links to elsewhere, which nox -s links follows ----------------------------------------------

linkcheck_timeout = 20
linkcheck_anchors = False
