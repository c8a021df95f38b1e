"""The answer that refuses a handshake, as the rules see it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import shorten

from .findings import Finding
from .products import product_of
from .remedies import Remedy, remedies
from .sayings import Saying, said_of
from .seen import Answer, Hop


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than 101, and what else is known of this hop."""

    hop: Hop
    answer: Answer
    product: str
    saying: Saying | None

    @staticmethod
    def of(hop: Hop, answer: Answer) -> Refusal:
        return Refusal(hop, answer, product_of(answer), said_of(answer))

    @property
    def as_a_page(self) -> bool:
        """Whether a plain GET gets the same answer."""
        plain = self.hop.plain
        return (
            isinstance(plain, Answer)
            and plain.status == self.answer.status
            and _steady(plain) == _steady(self.answer)
        )

    @property
    def line(self) -> str:
        """The answer in a line."""
        first = shorten(self.answer.text.strip().partition("\n")[0], 160)
        body = f", and its body begins with {first!r}" if first and first[0] != "<" else ""
        by = f" of {self.product}" if self.product else ""
        return f"the handshake got {self.answer.status} {self.answer.reason}{by}".rstrip() + body

    def finding(self, code: str, title: str, means: str, remedy: str = "") -> Finding:
        """A finding with the remedies that are known, or with this one."""
        said = self.saying.by if self.saying else ""
        change = (Remedy(remedy),) if remedy else remedies(code, [self.product, said])
        return Finding(code, "handshake", title, self.line, means, change)


def _steady(answer: Answer) -> str:
    """The body without what differs from one answer to the next: ids, times."""
    return re.sub(r"[0-9a-fA-F-]{8,}|\d+", "#", answer.text)
