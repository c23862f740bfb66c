"""Configuration of the documentation; ``make docs`` builds it."""

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

from gpuio.version import VERSION

project = "gpuio"
author = "gpuio authors"
project_copyright = "gpuio authors"
version = release = VERSION

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "docstrings",  # before numpydoc, whose input it prepares
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "notebooks",
    "command_help",
    "references",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# A name in single backticks is a link if it is a public name, and code otherwise.
default_role = "py:obj"
nitpicky = True

# Docstrings
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings.py gives them to the parameters
autodoc_preserve_defaults = True
# Only what is documented is imported; the classes made from PyTorch's need no more than its names.
autodoc_mock_imports = [name for name in ("torch",) if find_spec(name) is None]
python_use_unqualified_type_names = True
numpydoc_show_class_members = False
add_module_names = False
toc_object_entries_show_parents = "hide"

# Pages
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "notebooks")
nb_execution_in_temp = True
nb_execution_excludepatterns = []  # notebooks.py adds to it
nb_execution_raise_on_error = True
nb_execution_timeout = 100
nb_merge_streams = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# HTML
html_theme = "pydata_sphinx_theme"
html_title = "gpuio"
html_static_path = ["_static"]
html_css_files = ["gpuio.css"]
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "gpuio"},
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "navigation_depth": 3,
    "header_links_before_dropdown": 5,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Pages without pages below them have no navigation at their side.
html_sidebars = {
    page: []
    for page in (
        "index",
        "tutorial",
        "concepts",
        "features",
        "install",
        "gpu",
        "remote",
        "formats",
        "differences",
        "limits",
        "changelog",
    )
}
