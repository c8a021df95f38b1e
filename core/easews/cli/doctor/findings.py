"""What a rule finds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .remedies import Remedy

#: The steps of a handshake's way in their order. What fails in one makes later ones fail.
STAGES = ("connect", "tls", "handshake", "session", "idle")
Stage = Literal["connect", "tls", "handshake", "session", "idle"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found at a hop.

    code     a word for it that does not change
    stage    the step that it concerns
    title    it in a few words
    seen     what was seen
    means    what that means
    change   which setting of which product to change
    problem  whether it is one; notes are for information
    hop      the number of the hop
    lost_at  the hop that causes it, as the hops behind it do better; 0 when that is not known
    follows  the hop whose problem probably causes this one; 0 for none
    """

    code: str
    stage: Stage
    title: str
    seen: str
    means: str
    change: tuple[Remedy, ...] = ()
    problem: bool = True
    hop: int = 0
    lost_at: int = 0
    follows: int = 0
