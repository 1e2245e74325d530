"""How `make docs` makes pages of these files. Nothing that they show comes from another host."""

from __future__ import annotations

project = "label-studio-sam2"
extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["conf.py"]
highlight_language = "none"
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sphinx = False
