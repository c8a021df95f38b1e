"""Filters at work.

collector    how long the garbage collector has held up everything
isolation    what a plugin raises or sets stays with the plugin
blocking     tells on a filter that holds the event loop
results      what a message hook may return, and what it means (pure)
hooksteps    a filter with hooks for sessions, as a step
hookcalls    calling and awaiting them: what they raise stays with them
messageflow  a message on its way past the filters that read it
hooks        SessionHooks: what filters do with the sessions and messages that pass them
flow         Pipeline: one Context through a flow of filters, and the answer back
instances    one filter at work, and who holds it
generation   a config at work, beside those that came before it
"""

from .flow import Pipeline, ask_on_answer, close_answer, close_replaced
from .generation import Generation, ServedPipeline

__all__ = [
    "Generation",
    "Pipeline",
    "ServedPipeline",
    "ask_on_answer",
    "close_answer",
    "close_replaced",
]
