"""What filters leave for later filters, and for the session that may follow. Values, no I/O."""

from __future__ import annotations

from typing import TypeVar, cast

T = TypeVar("T")


class Notes:
    """What filters pass on to later filters: one value of each class.

    Define a class for what your filter passes on, so that no two filters use one name for
    different things::

        ctx.notes.put(Tenant("acme"))
        ctx.notes[Tenant].name
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[type, object] = {}

    def put(self, value: object) -> None:
        """Store `value`, and replace an earlier one of its class."""
        self._values[type(value)] = value

    def get(self, kind: type[T]) -> T | None:
        """The value of this class, or None."""
        return cast("T | None", self._values.get(kind))

    def __getitem__(self, kind: type[T]) -> T:
        """The value of this class. LookupError when no filter has stored one."""
        try:
            return cast(T, self._values[kind])
        except KeyError:
            raise LookupError(
                f"no note of class {kind.__name__} is there: put it in on_open "
                f"(session.notes.put({kind.__name__}())), or place the filter that puts it before "
                "this one"
            ) from None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def __contains__(self, kind: object) -> bool:
        return kind in self._values
