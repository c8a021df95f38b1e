"""A config at work: its filters entered, its pipelines ready.

Generations overlap: after a reload the new one serves while sessions of the old one go on. An
entry whose spec is equal keeps its instance; a changed one gets a new instance, which inherits
from the one that it replaces while that is still entered. A pipeline in which nothing has changed
belongs to both generations, so its sessions do not keep the old one in use.
"""

from __future__ import annotations

from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..config.model import Config, FilterSpec, PipelineSpec
from ..owners import Owner
from ..sessions import Opening
from .flow import Pipeline
from .instances import Holders, Instance

#: After how many pipelines everybody else gets a turn: a config may have thousands.
_PER_TURN = 50


class ServedPipeline(Holders):
    """A pipeline with the instances that it holds until nobody holds it any more.

    `since` is the number of the generation that it was made for.
    """

    def __init__(self, spec: PipelineSpec, instances: dict[str, Instance], since: int = 1) -> None:
        super().__init__()
        self.spec = spec
        self.since = since
        filters = {name: held.filter for name, held in instances.items()}
        self.flow: Pipeline = Pipeline(spec, filters)
        self._instances = instances
        for instance in instances.values():
            instance.hold()

    def fits(self, spec: PipelineSpec, instances: dict[str, Instance]) -> bool:
        """Whether this is the pipeline that `spec` makes of `instances`, too."""
        return self.spec == spec and self._instances == instances

    def abandon(self) -> None:
        """Let go of the instances, whoever may still hold this pipeline."""
        super().abandon()
        instances, self._instances = self._instances, {}
        for instance in instances.values():
            instance.release()


class Generation:
    """`number` counts the generations; `pipelines` are there once `start` has returned."""

    def __init__(self, config: Config, previous: Generation | None = None, number: int = 0) -> None:
        """Without a `number` it is the one behind that of `previous`."""
        self.config = config
        self.number: int = number or (previous.number + 1 if previous else 1)
        self.pipelines: dict[str, ServedPipeline] = {}
        self._instances: dict[tuple[str, str], Instance] = {}
        self._before = dict(previous._instances) if previous else {}
        self._pipelines_before = dict(previous.pipelines) if previous else {}
        self._left: dict[str, ServedPipeline] = {}
        self._retired = False

    async def start(self, lives: TaskGroup) -> None:
        """Enter the filters that are new or changed, each in a task of `lives`.

        FilterError when one cannot start: those that were entered are left again, and the
        generation before goes on as it was.
        """
        made: list[Instance] = []
        try:
            for number, spec in enumerate(self.config.pipelines):
                for entry in spec.filters:
                    await self._enter(lives, spec, entry, made)
                self._hold(spec)
                if number % _PER_TURN == 0:
                    await checkpoint()
        except BaseException:
            for pipeline in self.pipelines.values():
                pipeline.release()
            for instance in made:
                instance.abandon()
            raise
        self._before, self._pipelines_before = {}, {}

    def _hold(self, spec: PipelineSpec) -> None:
        own = {entry.name: self._instances[spec.name, entry.name] for entry in spec.filters}
        pipeline = self._pipelines_before.get(spec.name)
        if pipeline is None or not pipeline.fits(spec, own):
            pipeline = ServedPipeline(spec, own, self.number)
        self.pipelines[spec.name] = pipeline
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

    def retire(self, successor: Generation | None = None) -> None:
        """No request comes any more: filters are left as the last ones let go of them. What
        `successor` has, too, is its own from now on.
        """
        self._retired = True
        taken_over = set(successor.pipelines.values()) if successor else set()
        self._left = {
            name: pipeline
            for name, pipeline in self.pipelines.items()
            if pipeline not in taken_over
        }
        for pipeline in self.pipelines.values():
            pipeline.release()

    def abandon(self) -> None:
        """Leave the filters now, whoever may still hold them."""
        for pipeline in self.pipelines.values():
            pipeline.abandon()

    @property
    def in_use(self) -> bool:
        """Whether any of the pipelines that no later generation has is still held."""
        return any(pipeline.in_use for pipeline in self._left.values())

    @property
    def uses(self) -> int:
        """How many requests and sessions have a pipeline that no later generation has."""
        if self._retired:
            return sum(pipeline.count for pipeline in self._left.values())
        return sum(pipeline.count - 1 for pipeline in self.pipelines.values())  # one is ours

    def opened(self, opening: Opening) -> bool:
        """Whether a session came by a pipeline that no later generation has."""
        pipeline = self._left.get(opening.route.pipeline)
        return pipeline is not None and pipeline.since <= opening.generation <= self.number

    @property
    def owners(self) -> list[Owner]:
        """Its filters, in the order of the config, each with what it has entered."""
        return [instance.owner for instance in self._instances.values()]

    async def wait_unused(self) -> None:
        """Return when the last request and session are over. Only of use once it is retired."""
        for pipeline in self._left.values():
            await pipeline.wait_unused()
