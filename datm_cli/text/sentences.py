"""Events as sentences, for screens and logs."""

from __future__ import annotations

from datm_cli.text.escapes import printable
from datm_engine.formatting import byte_size, duration, plural
from datm_engine.runs import events
from datm_engine.runs.events import Event


def sentence(event: Event) -> str | None:
    """What an event says that is worth a line of its own; None for those that are progress."""
    told = _sentence(event)
    return None if told is None else printable(told)


def _sentence(event: Event) -> str | None:
    match event:
        case events.RunStarted():
            resumed = f", going on from iteration {event.resumed_at:,}" if event.resumed_at else ""
            return f"run {event.run} on {event.device}, seed {event.seed}{resumed}"
        case events.Noted():
            return event.text
        case events.DatasetReady():
            held_out = f" + {event.validation:,} held out" if event.validation else ""
            return (
                f"{event.name}: {event.train:,}{held_out} training and {event.test:,} test images, "
                f"{event.classes} classes, {event.channels}×{event.height}×{event.width}, "
                f"{event.preprocessing}"
            )
        case events.ExpertsPlanned(missing=0):
            return f"all {plural(event.total, 'expert')} are in {event.folder}"
        case events.ExpertsPlanned():
            experts = f"{event.missing} of {plural(event.total, 'expert')}"
            cost = f"about {duration(event.seconds)} and {byte_size(event.size)} in {event.folder}"
            return f"training {experts}, {plural(event.epochs, 'epoch')} each: {cost}"
        case events.ExpertTrained():
            held_out = ""
            if event.validation_accuracy is not None:
                held_out = f", {event.validation_accuracy:.1f}% held out"
            return (
                f"expert {event.expert + 1} of {event.total}: {event.train_accuracy:.1f}% training"
                f"{held_out}, {duration(event.seconds)}"
            )
        case events.SettingDerived():
            return f"{event.key} = {event.value:g}: {event.reason}"
        case events.ClassesFilledUp():
            names = event.names.split(", ")
            more = f", … ({event.classes} in all)" if len(names) > 5 else ""
            return (
                f"{event.classes} of {event.of} classes have fewer than {event.wanted} images that "
                f"an expert classifies correctly, and are filled up with random ones: "
                f"{', '.join(names[:5])}{more}"
            )
        case events.Initialized():
            images = plural(event.images, "image")
            return f"{images}: {event.image_source}; labels: {event.label_source}"
        case events.CandidateScored():
            part = "held-out images" if event.part == "validation" else "test images"
            best = ", the best so far" if event.best else ""
            return f"iteration {event.iteration:,}: {event.accuracy:.1f}% of {part}{best}"
        case events.Evaluated():
            return (
                f"{event.set}, {event.network}: {event.percent()}% of test images "
                f"({plural(event.repeats, 'repeat')}, {plural(event.images, 'image')}, "
                f"{duration(event.seconds)})"
            )
    return None


class Refusals:
    """Says why an iteration took no step, the first time for each reason."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def sentence(self, event: Event) -> str | None:
        if not isinstance(event, events.Matched) or not event.refused:
            return None
        if event.refused in self._told:
            return None
        self._told.add(event.refused)
        return f"iteration {event.iteration:,} took no step: {printable(event.refused)}"


def progress(event: events.Matched) -> str:
    """How an iteration went, in a few words."""
    loss = "not finite" if event.loss is None else f"{event.loss:.4f}"
    skipped = f", {event.skipped} skipped" if event.skipped else ""
    return (
        f"loss {loss}, T⁻ {event.lower} T {event.upper} T⁺ {event.final_upper}, "
        f"η {event.syn_lr:.4g}{skipped}"
    )
