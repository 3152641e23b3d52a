"""The site, which one command makes in `build/site`.

`pip install '.[docs]' && sphinx-build -W --keep-going -n -j 8 docs build/site`
"""

import hashlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parent / "build"
sys.path[:0] = [str(HERE / "_site"), str(HERE.parent / "tests")]

import brief  # noqa: E402  (a file of the tests)
from jupyter_cache import get_cache  # noqa: E402


def sources_hash() -> str:
    """Another for every state of the package."""
    found = hashlib.sha256()
    for path in sorted((HERE.parent / "jaxflow").rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


# What the cells compile is kept for the next build, and compiled as the tests do it: in a third of the time.
os.environ.setdefault("XLA_FLAGS", brief.FLAGS)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.environ.get("JAXFLOW_TESTS_CACHE") or str(BUILD / "compiled"))
os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2**30))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

project = "jaxflow"
author = "the jaxflow authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
extensions += ["cells", "diagrams", "listened", "names", "offline"]  # of `_site`
exclude_patterns = ["_site"]
nitpicky = True

# Markdown: pages are read on their own too, so that they keep to what any Markdown reader shows.
myst_enable_extensions = ["colon_fence"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

nb_execution_mode = "cache"
nb_execution_cache_path = str(BUILD / "executed" / sources_hash())  # so that no page shows what jaxflow gave before
get_cache(nb_execution_cache_path).list_cache_records()  # made here, before several processes would make it at once
nb_execution_in_temp = True  # where pages write
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# Signatures say what the source says: see ``names``.
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # the signature has them
napoleon_use_ivar = True
napoleon_use_rtype = False
nitpick_ignore_regex = [
    # types of other packages, whose documentation this site does not ask for, as signatures write them
    (r"py:class", r"(Array|ArrayLike|Float|Int|Bool|UInt|Shaped|Hashable|Path|Callable|Sequence|Mapping|Any|Protocol)"),
    (r"py:class", r"(jax|np|nn|pd|os|collections)\..*"),
    (
        r"py:class",
        r"(Params|Out|Study|Debiaser|Report)",
    ),  # a pytree, a type variable, and what only jaxflow itself makes
]

html_theme = "furo"
html_title = "jaxflow"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_site/static/icon.svg"
pygments_dark_style = "github-dark"
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # of pages opened from disk a browser lets no script read others
html_copy_source = False
html_show_sourcelink = False
