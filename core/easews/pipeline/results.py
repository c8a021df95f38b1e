"""What a message hook may return, and what it means. Values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from ..messages import Close, Message, is_close_code

#: How many messages a hook may return in place of one: a generator might have no end.
MOST_OUTPUTS = 1024


class Nonsense(Exception):
    """A hook has returned what it may not."""


def listed(message: Message, result: object) -> Sequence[Message | Close]:
    """What a hook has made of `message` by returning `result`; a Close is the last of it.

    Nonsense when it may not return that, and whatever a generator raises.
    """
    if result is None:
        return ()
    if isinstance(result, (Message, Close, str, bytes)):
        return (_one(message, result),)
    if isinstance(result, Iterable) and not isinstance(result, (bytearray, memoryview, dict)):
        outputs = [_one(message, item) for item in islice(result, MOST_OUTPUTS + 1)]
        if len(outputs) > MOST_OUTPUTS:
            raise Nonsense(f"returned over {MOST_OUTPUTS} messages in place of one")
        ends = [at for at, output in enumerate(outputs) if isinstance(output, Close)]
        return outputs[: ends[0] + 1] if ends else outputs
    raise Nonsense(
        f"returned {_described(result)}; it may return a message, text, bytes, a list of these, "
        "a Close or None"
    )


def _one(message: Message, item: object) -> Message | Close:
    if isinstance(item, (str, bytes)):
        return message.with_data(item)
    if isinstance(item, Message) and isinstance(item.data, (str, bytes)):
        return item
    if isinstance(item, Close) and _is_valid(item):
        return item
    raise Nonsense(f"returned {_described(item)}, which is neither a message nor a valid Close")


def _is_valid(close: Close) -> bool:
    code: object = close.code
    reason: object = close.reason
    return isinstance(code, int) and isinstance(reason, str) and is_close_code(code)


def _described(value: object) -> str:
    """What it is, and nothing of what people have written."""
    if isinstance(value, Message):
        return f"a Message whose data is {_described(value.data)}"
    return repr(value) if isinstance(value, Close) else f"an object of {type(value).__name__}"
