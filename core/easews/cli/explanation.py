"""What becomes of a request: as text for people, as JSON for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..config.model import Config, FilterSpec, PathSpec, PipelineSpec, ServerSpec, StepSpec
from ..messages import Reads, Sender
from ..pipeline.hooks import merged_reads
from ..server.routing import Match, Refused, Router
from ..server.routing.reasons import Verdict, verdicts
from .asked import Asked, where
from .costs import class_reads, hooks_of, reads_in_words, reads_json
from .report import BOLD, fitted_table, folded, painted, summary

_SENDERS: Sequence[Sender] = ("client", "backend")
_PATHS = ("PATH", "TAKES", "VERDICT")
_FILTERS = ("FILTER", "KIND", "PACKAGE", "MESSAGES")


class Step(NamedTuple):
    """A step of the flow; `reads` are the messages that its filter reads, None for none.

    `note` says why that is what the class says of itself, and not the entry of the config.
    """

    spec: StepSpec
    entry: FilterSpec
    reads: Reads | None
    note: str = ""


class Explanation(NamedTuple):
    """`answer` is the router's; `steps` are those of the pipeline that the match leads to."""

    asked: Asked
    server: ServerSpec
    note: str
    verdicts: Sequence[Verdict]
    answer: Match | Refused
    steps: Sequence[Step]

    def mode(self, sender: Sender) -> Reads | None:
        """Which messages of `sender` a session that has passed all steps joins for its filters."""
        return merged_reads(sender, [step.reads for step in self.steps if step.reads is not None])


def explained(asked: Asked, config: Config, server: ServerSpec, note: str) -> Explanation:
    """Ask the router of `server`, and look at the pipeline that it names."""
    answer = Router(server).route(asked.request)
    steps: Sequence[Step] = ()
    if isinstance(answer, Match):
        (pipeline,) = [it for it in config.pipelines if it.name == answer.path.backend]
        steps = list(_steps(pipeline))
    return Explanation(asked, server, note, list(verdicts(server, asked.request)), answer, steps)


def _steps(pipeline: PipelineSpec) -> Iterator[Step]:
    entries = {entry.name: entry for entry in pipeline.filters}
    for spec in pipeline.flow:
        entry = entries[spec.filter]
        yield Step(spec, entry, *_reads(entry))


def _reads(entry: FilterSpec) -> tuple[Reads | None, str]:
    """What an entry reads. One with a hook for messages is made, as it may choose for itself."""
    reads = class_reads(entry.kind.filter_class)
    if reads is None:
        return None, ""
    try:
        return entry.kind.filter_class(entry.name, entry.spec).reads, ""
    except Exception as error:
        return reads, f"as its class says; it cannot start: {type(error).__name__}: {error}"


def text(it: Explanation, width: int | None, *, colour: bool) -> str:
    """All of it, in paragraphs."""
    request = it.asked.request
    parts = [
        _heading(f"{request.method} {request.target}", colour)
        + f"\nto {request.host}, from {request.client.host}",
        _heading(f"Server {it.server.name}", colour)
        + f", which {where(it.server)}"
        + (f"\nNote: {it.note}" if it.note else ""),
    ]
    if paths := "\n".join(_path_lines(it, width, colour)):
        parts.append(paths)
    if isinstance(it.answer, Refused):
        refusal = f"Refused: {it.answer.status}, {it.answer.detail}"
        return "\n\n".join([*parts, _wrapped(refusal, width)])
    heading = _heading(f"Pipeline {it.answer.path.backend}", colour)
    rows = [_FILTERS, *map(_filter_row, it.steps)]
    parts.append(f"{heading}, which gets {it.answer.target}\n{fitted_table(rows, width, colour)}")
    parts.append("\n".join(_wrapped(line, width) for line in _mode_lines(it)))
    return "\n\n".join(parts)


def _heading(words: str, colour: bool) -> str:
    return painted(words, BOLD, colour)


def _wrapped(line: str, width: int | None) -> str:
    return line if width is None else "\n".join(folded(line, width))


def _path_lines(it: Explanation, width: int | None, colour: bool) -> Iterator[str]:
    """A row for each path that was tried; how many were not."""
    rows = [_path_row(verdict) for verdict in it.verdicts if verdict.tried]
    if rows:
        yield fitted_table([_PATHS, *rows], width, colour)
    if count := len(it.verdicts) - len(rows):
        yield f"{summary(count, 'more path')} behind it, not tried" if rows else _untried(count)


def _untried(count: int) -> str:
    return f"{summary(count, 'path')}, not tried: the server refuses the request by itself"


def _path_row(verdict: Verdict) -> tuple[str, ...]:
    place = f"rules[{verdict.rule}].paths[{verdict.place}]"
    return (place, takes(verdict.path), "; ".join(verdict.reasons) or "matches")


def takes(path: PathSpec) -> str:
    """Which paths it takes, as the config has it."""
    return path.form or "any path"


def _filter_row(step: Step) -> tuple[str, ...]:
    kind = step.entry.kind
    name = step.spec.alias
    what = "not read" if step.reads is None else reads_in_words(step.reads)
    jumps = [f"{result} jumps to {to}" for result, to in step.spec.jump_if.items()]
    notes = "; ".join([what, *([step.note] if step.note else []), *jumps])
    return (name, kind.name, f"{kind.distribution} {kind.version}", notes)


def _mode_lines(it: Explanation) -> Iterator[str]:
    """What a session pays that has passed all filters, and because of whom."""
    modes = {sender: it.mode(sender) for sender in _SENDERS}
    if not any(modes.values()):
        yield "No filter reads messages: a session stays on the fast relay."
        return
    for sender, reads in modes.items():
        if reads is None:
            yield f"Messages of the {sender} stay on the fast relay."
            continue
        because = ", ".join(_readers(it.steps, sender))
        yield f"Message mode, because of {because}: {reads_in_words(reads)}."


def _readers(steps: Sequence[Step], sender: Sender) -> list[str]:
    return [
        step.spec.alias for step in steps if step.reads is not None and sender in step.reads.senders
    ]


def as_json(it: Explanation) -> Mapping[str, Any]:
    """The same for machines."""
    request = it.asked.request
    return {
        "request": {
            "url": it.asked.url,
            "method": request.method,
            "target": request.target,
            "host": request.host,
            "client": request.client.host,
        },
        "server": it.server.name,
        "note": it.note,
        "paths": [_verdict_json(verdict, it.server) for verdict in it.verdicts],
        **_answer_json(it.answer),
        "filters": [_step_json(step) for step in it.steps],
        "messageMode": {sender: reads_json(it.mode(sender)) for sender in _SENDERS},
    }


def _answer_json(answer: Match | Refused) -> Mapping[str, Any]:
    if isinstance(answer, Refused):
        return {"refused": {"status": answer.status, "detail": answer.detail}, "match": None}
    match = {
        "path": answer.name,
        "pipeline": answer.path.backend,
        "target": answer.target,
        "clientMaxBodySize": answer.body_limit,
    }
    return {"refused": None, "match": match}


def _verdict_json(verdict: Verdict, server: ServerSpec) -> Mapping[str, Any]:
    rule = server.rules[verdict.rule]
    return {
        "place": f"rules[{verdict.rule}].paths[{verdict.place}]",
        "hosts": [*rule.hosts, *rule.host_regexps],
        "takes": takes(verdict.path),
        "matches": verdict.matches,
        "tried": verdict.tried,
        "reasons": list(verdict.reasons),
    }


def _step_json(step: Step) -> Mapping[str, Any]:
    kind = step.entry.kind
    return {
        "name": step.spec.alias,
        "kind": kind.name,
        "package": kind.distribution,
        "version": kind.version,
        "jumpIf": dict(step.spec.jump_if),
        "hooks": hooks_of(kind.filter_class),
        "reads": reads_json(step.reads),
        "note": step.note,
    }
