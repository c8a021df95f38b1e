"""The documentation's site: `scripts/docs` builds it, with warnings as errors."""

from importlib.metadata import version as version_of

project = "easews"
author = "the easews authors"
project_copyright = "the easews authors. Apache License 2.0"
version = release = version_of("easews")

extensions = ["myst_parser"]
nitpicky = True
# Links to headings, as the forges make them.
myst_heading_anchors = 3

# Furo has light and dark, and system fonts. Nothing of a page comes from elsewhere.
html_theme = "furo"
html_title = f"easews {version}"
html_show_sourcelink = False
html_copy_source = False
highlight_language = "none"  # of blocks that do not say which: drawings
pygments_style = "friendly"
pygments_dark_style = "github-dark"
