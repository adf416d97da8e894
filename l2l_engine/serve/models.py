"""The plans of a service, loaded once and by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from l2l_engine.classifier import Classifier
from l2l_engine.serve.problems import RefusedError
from l2l_engine.serve.settings import OBJECT_STORES, Settings


class Models:
    """Classifiers by name, in the order they were named."""

    def __init__(self, classifiers: dict[str, Classifier]) -> None:
        self._classifiers = classifiers

    @property
    def names(self) -> tuple[str, ...]:
        """All names; the first is the default's."""
        return tuple(self._classifiers)

    def get(self, name: str | None) -> tuple[str, Classifier]:
        """The plan of that name, or the first; and its name.

        Raises:
            RefusedError: There is none of that name.
        """
        name = self.names[0] if name is None else name
        try:
            return name, self._classifiers[name]
        except KeyError:
            known = ", ".join(self.names)
            raise RefusedError(404, "no_plan", f"no plan {name[:80]!r}; there are: {known}") from None


@contextmanager
def open_models(settings: Settings) -> Iterator[Models]:
    """Load every plan, and run it once so that the first request costs what later ones do."""
    # What a host can be named in is fetched by the service itself, which looks where that leads.
    stores = tuple(protocol for protocol in settings.allow if protocol in OBJECT_STORES)
    limits = replace(settings.limits, wall_clock_s=settings.timeout_s, protocols=stores)
    with ExitStack() as stack:
        classifiers = {
            name: stack.enter_context(
                Classifier(path, device=settings.device, precision=settings.precision, limits=limits)
            )
            for name, path in settings.plans.items()
        }
        for classifier in classifiers.values():
            classifier.warmup()
        yield Models(classifiers)
