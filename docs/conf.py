"""How the documentation is built: ``tox -e docs``."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import attrs

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "plugins" / "optreg-matrix" / "src")]

import comparison_page  # noqa: E402
import hook_page  # noqa: E402
import optimizer_pages  # noqa: E402

import optreg  # noqa: E402

project = "optreg"
author = "The optreg maintainers"
copyright = author
version = release = optreg.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "optreg"
html_static_path = ["_static"]
html_css_files = ["optreg.css"]
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # they are in the package, for type checkers; the texts say what is accepted
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 110
smartquotes_action = "D"  # dashes; quotes are mostly code's
toc_object_entries_show_parents = "hide"
add_module_names = False

nitpicky = True
# What docstrings of attributes and of inherited exceptions name, and what stands in no reference page of ours.
nitpick_ignore_regex = [
    ("py:.*", r"(optional|callable|function|iterable)"),
    ("py:.*", r"(pluggy|click|numpy|attrs|collections|typing)\..*"),
]


def _link_papers(app, what, name, obj, options, lines):  # noqa: PLR0917 (Sphinx calls it with these)
    lines[:] = [optimizer_pages.linked(line) for line in lines]


def _arguments_of_optimizers(app, what, name, obj, options, signature, returns):  # noqa: PLR0917 (as above)
    # Sphinx would show those of __new__, which takes any.
    if what == "class" and issubclass(obj, optreg.Optimizer) and attrs.has(obj):
        own = inspect.signature(obj.__init__)
        parameters = [each.replace(annotation=each.empty) for each in list(own.parameters.values())[1:]]
        return str(own.replace(parameters=parameters, return_annotation=own.empty)), None
    return signature, returns


def _as_in_a_terminal(app, context, lines):
    # In the help of a command, a star is a star, and what click does not rewrap stands as it is.
    found = []
    for line in lines:
        if line.startswith("| "):
            if not (found and found[-1].startswith("   ")):
                found += ["", ".. code-block:: text", ""]
            found.append("   " + line[2:].strip())
        else:
            found.append(line if line.startswith("..") else line.replace("*", r"\*").replace("--", r"-\-"))
    lines[:] = found


def _write_pages(app):
    optimizer_pages.write(HERE / "optimizers")
    hook_page.write(HERE / "every-hook.rst")
    comparison_page.write(HERE)


def setup(app):
    app.connect("builder-inited", _write_pages)
    app.connect("autodoc-process-docstring", _link_papers)
    app.connect("autodoc-process-signature", _arguments_of_optimizers)
    for part in ("description", "options"):
        app.connect(f"sphinx-click-process-{part}", _as_in_a_terminal)
