"""Events as sentences, for screens and logs."""

from __future__ import annotations

from datm_cli.text.escapes import printable
from datm_engine.runs import events
from datm_engine.runs.events import Event


def duration(seconds: float) -> str:
    """About how long: 42 s, 3 min 10 s, 2 h 05 min, 3 days 4 h."""
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{minutes} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{plural(days, 'day')} {hours % 24} h"


def pace(seconds: float) -> str:
    """How long something short takes that is done again and again: 0.084 s, 12 s."""
    return f"{seconds:.2g} s" if seconds < 1 else duration(seconds)


def setting(value: object) -> str:
    """A value of the configuration, as it is read: lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float) and abs(value) >= 1e6:
        return f"{value:g}"  # 1e+09: nobody counts the zeros
    return "none" if value is None else str(value)


def percent(row: events.Evaluated, digits: int = 2) -> str:
    """Percent: "88.93 ± 0.51"; a single network has no deviation."""
    mean = f"{row.accuracy_mean:.{digits}f}"
    return f"{mean} ± {row.accuracy_std:.{digits}f}" if row.repeats > 1 else mean


def size(count: float) -> str:
    """Bytes: 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


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
            cost = f"about {duration(event.seconds)} and {size(event.size)} in {event.folder}"
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
                f"{event.set}, {event.network}: {percent(event)}% of test images "
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
