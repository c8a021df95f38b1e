"""The texts of workers as one, in which counts stay when the worker ends that has counted."""

from __future__ import annotations

from collections.abc import Mapping

from .exposition import ended
from .merging import counted, joined, parsed

#: The number of a worker, and its process id.
Process = tuple[int, int]


class Totals:
    """Adds up what workers count, scrape after scrape.

    Counters and histograms have what workers had counted at the last scrape before they ended, and
    of those that do not answer what they had counted when they last did. So the sums never go down.
    """

    def __init__(self) -> None:
        self._latest: dict[int, tuple[int, bytes]] = {}
        self._ended = ended(())

    def merged(self, texts: Mapping[Process, bytes], own: bytes) -> bytes:
        """The OpenMetrics texts of the workers that have answered, and that of their parent, as
        one. ValueError when a text is not OpenMetrics.
        """
        self.keep(texts)
        answered = [(number, parsed(text)) for (number, _), text in texts.items()]
        silent = [
            text for number, (pid, text) in self._latest.items() if (number, pid) not in texts
        ]
        past = [(0, counted(parsed(text))) for text in (*silent, self._ended)]
        return joined([*answered, (0, parsed(own)), *past])

    def keep(self, texts: Mapping[Process, bytes]) -> None:
        """These are the latest. Where another process has the number of one before, that one has
        ended.
        """
        for (number, pid), text in texts.items():
            before, last = self._latest.get(number, (pid, b""))
            if before != pid:
                self._ended = joined((0, counted(parsed(it))) for it in (self._ended, last))
            self._latest[number] = pid, text
