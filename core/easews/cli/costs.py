"""What a filter costs the sessions that pass it, in words: which messages it reads, if any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..filters import HOOKS, Filter, overrides
from ..messages import Reads
from ..schema.units import written_size

FAST_RELAY = "not read: sessions stay on the fast relay"


def hooks_of(filter_class: type[Filter]) -> list[str]:
    """The hooks that the class has of its own."""
    return [hook for hook in HOOKS if overrides(filter_class, hook)]


def class_reads(filter_class: type[Filter]) -> Reads | None:
    """Which messages its class says that it reads; None when it has no hook for any."""
    return filter_class.reads if overrides(filter_class, "on_message") else None


def cost(filter_class: type[Filter]) -> str:
    """What a session pays, message by message, for having passed it."""
    reads = class_reads(filter_class)
    return FAST_RELAY if reads is None else f"message mode, for {reads_in_words(reads)}"


def reads_in_words(reads: Reads) -> str:
    """Such as ``text messages of the client, up to 64KiB``."""
    kinds = [word for word, wanted in (("text", reads.text), ("binary", reads.binary)) if wanted]
    what = "messages" if len(kinds) == 2 else " ".join([*kinds, "messages"])
    whose = " and ".join(f"the {sender}" for sender in reads.senders)
    return f"{what} of {whose}, up to {written_size(reads.max_size)}"


def reads_json(reads: Reads | None) -> Mapping[str, Any] | None:
    """The same for machines."""
    if reads is None:
        return None
    return {
        "senders": list(reads.senders),
        "text": reads.text,
        "binary": reads.binary,
        "maxSize": reads.max_size,
    }
