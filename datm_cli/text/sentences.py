"""Events as sentences, for screens and logs."""

from __future__ import annotations

from typing import NamedTuple

from datm_cli.text.escapes import printable
from datm_engine.formatting import byte_size, duration, plural
from datm_engine.runs import events
from datm_engine.runs.events import Event


def sentence(event: Event) -> str | None:
    """The line that the log has for an event. None for progress."""
    text = _sentence(event)
    return None if text is None else printable(text)


def _sentence(event: Event) -> str | None:
    match event:
        case events.RunStarted():
            resumed = f", resumed at iteration {event.resumed_at:,}" if event.resumed_at else ""
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
            return (
                f"{event.classes} of {event.of} classes have fewer than {event.wanted} images that "
                f"an expert classifies correctly, and are filled up with random ones: "
                f"{event.names}"
            )
        case events.Initialized():
            images = plural(event.images, "image")
            return f"{images}: {event.image_source}; labels: {event.label_source}"
        case events.Matched(skip_reason=events.SkipReason() as reason):
            return f"iteration {event.iteration:,} took no step: {reason.sentence}"
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


class Activity(NamedTuple):
    """`done` of `total` units of a task; a total of 0 for a wait that counts nothing."""

    what: str
    done: int
    total: int


def activity(event: Event) -> Activity | None:
    """How far the task is whose progress an event reports. None for other events."""
    match event:
        case events.WaitBegan():
            return Activity(printable(event.what), 0, 0)
        case events.DatasetProgress():
            return Activity(printable(event.what), event.done, event.total)
        case events.DifficultyProgress():
            return Activity("scoring image difficulty, epoch", event.done, event.total)
        case events.ExpertEpoch():
            return Activity(f"expert {event.expert + 1}, epoch", event.epoch, event.epochs)
        case events.MeasurementProgress():
            return Activity("measuring experts", event.done, event.total)
        case events.Matched():
            return Activity("distilling", event.iteration, event.iterations)
        case events.SelectionProgress():
            return Activity(f"choosing images, {printable(event.set)}", event.done, event.total)
        case events.EvaluationProgress(set="candidate"):
            return Activity("scoring on held-out images", event.epoch, event.epochs)
        case events.EvaluationProgress():
            network = printable(f"{event.set}, {event.network}")
            what = f"evaluating {network}, {event.repeat + 1}/{event.repeats}"
            return Activity(what, event.epoch, event.epochs)
    return None


def iteration_summary(event: events.Matched) -> str:
    """An iteration in a few words: loss, window, student's learning rate."""
    loss = "not finite" if event.loss is None else f"{event.loss:.4f}"
    rate = "not finite" if event.syn_lr is None else f"{event.syn_lr:.4g}"
    skipped = f", {event.skipped} skipped" if event.skipped else ""
    return (
        f"loss {loss}, T⁻ {event.lower} T {event.upper} T⁺ {event.final_upper}, η {rate}{skipped}"
    )
