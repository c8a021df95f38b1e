"""A config at work: its filters entered, its pipelines ready.

Generations overlap: after a reload the new one serves while sessions of the old one go on. An
entry whose spec is equal keeps its instance; a changed one gets a new instance, which inherits
from the one that it replaces while that is still entered.
"""

from __future__ import annotations

from anyio.abc import TaskGroup

from ..config.model import Config, FilterSpec, PipelineSpec
from .flow import Pipeline
from .instances import Holders, Instance


class ServedPipeline(Holders):
    """A pipeline with the instances that it holds until nobody holds it any more."""

    def __init__(self, spec: PipelineSpec, instances: dict[str, Instance]) -> None:
        super().__init__()
        filters = {name: held.filter for name, held in instances.items()}
        self.flow: Pipeline = Pipeline(spec, filters)
        self._instances = instances
        for instance in instances.values():
            instance.hold()

    def abandon(self) -> None:
        """Let go of the instances, whoever may still hold this pipeline."""
        super().abandon()
        instances, self._instances = self._instances, {}
        for instance in instances.values():
            instance.release()


class Generation:
    """`number` counts the generations; `pipelines` are there once `start` has returned."""

    def __init__(self, config: Config, previous: Generation | None = None) -> None:
        self.config = config
        self.number: int = previous.number + 1 if previous else 1
        self.pipelines: dict[str, ServedPipeline] = {}
        self._instances: dict[tuple[str, str], Instance] = {}
        self._before = dict(previous._instances) if previous else {}

    async def start(self, lives: TaskGroup) -> None:
        """Enter the filters that are new or changed, each in a task of `lives`.

        FilterError when one cannot start: those that were entered are left again, and the
        generation before goes on as it was.
        """
        made: list[Instance] = []
        try:
            for spec in self.config.pipelines:
                for entry in spec.filters:
                    await self._enter(lives, spec, entry, made)
        except BaseException:
            for instance in made:
                instance.abandon()
            raise
        self._before = {}
        for spec in self.config.pipelines:
            own = {entry.name: self._instances[spec.name, entry.name] for entry in spec.filters}
            pipeline = self.pipelines[spec.name] = ServedPipeline(spec, own)
            pipeline.hold()

    async def _enter(
        self, lives: TaskGroup, spec: PipelineSpec, entry: FilterSpec, made: list[Instance]
    ) -> None:
        key = spec.name, entry.name
        before = self._before.get(key)
        if before is not None and before.fits(entry):
            self._instances[key] = before
            return
        replaces = before if before and before.entry.kind.name == entry.kind.name else None
        instance = self._instances[key] = Instance(spec.name, entry)
        await instance.start(lives, replaces)
        made.append(instance)

    def retire(self) -> None:
        """No request comes any more: filters are left as the last ones let go of them."""
        for pipeline in self.pipelines.values():
            pipeline.release()

    def abandon(self) -> None:
        """Leave the filters now, whoever may still hold them."""
        for pipeline in self.pipelines.values():
            pipeline.abandon()

    @property
    def in_use(self) -> bool:
        """Whether any of its pipelines is still held."""
        return any(pipeline.in_use for pipeline in self.pipelines.values())

    async def wait_unused(self) -> None:
        """Return when it is retired, and the last request and session are over."""
        for pipeline in self.pipelines.values():
            await pipeline.wait_unused()
