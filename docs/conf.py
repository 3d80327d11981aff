"""Configuration of the documentation's build."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from atxfer import __version__  # this checkout's, not an installed one

project = "atxfer"
author = "The atxfer developers"
copyright = "2026, The atxfer developers"  # noqa: A001  # the name that Sphinx reads
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"atxfer {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_ivar = True  # fields of dataclasses are told once, in the class
napoleon_custom_sections = [("Threads", "notes_style")]
myst_heading_anchors = 3
