"""Filters at work.

isolation   what a plugin raises or sets stays with the plugin
flow        Pipeline: one Context through a flow of filters
generation  the filters of one config, entered until their last holder is gone
"""

from .flow import Pipeline
from .generation import Generation

__all__ = ["Generation", "Pipeline"]
