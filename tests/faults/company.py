"""What is around an engine: another engine, the clock, the terminal."""

from __future__ import annotations

import os
import pty
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.judging import LOSS, REFUSED, SAME, Outcome, judge
from tests.faults.lab import Child, Lab, empty

DAY = 86_400.0


def two_on_one_run(lab: Lab, draws: random.Random, count: int) -> Iterator[Outcome]:
    """The second is refused in two lines, and the first comes to its end unharmed."""
    for number in range(count):
        case = lab.case(f"two-{number}")
        first = lab.start(lab.beginning(case))
        _wait(lambda case=case: lab.run(case).process_file.exists())  # type: ignore[misc]
        time.sleep(draws.random() * min(lab.seconds, 2.0) / 2)
        first.signal(signal.SIGSTOP)
        second = lab.start(lab.resuming(case)).wait()
        first.signal(signal.SIGCONT)
        ended = first.wait()
        fault, detail = "two engines on one run", f"number {number}"
        refused = second.is_two_lines and "another process" in second.said
        if not refused and not (second.code == 0 and ended.code == 0):
            yield Outcome(fault, detail, LOSS, f"{second.code}: {second.said[-600:]}")
        elif ended.code != 0 or (different := lab.differences(case)):
            yield Outcome(fault, detail, LOSS, f"{ended.code}, {ended.said[-300:]} {different}")
        else:
            yield Outcome(fault, detail, REFUSED if refused else SAME)
        empty(case)


def two_of_one_name(lab: Lab, count: int) -> Iterator[Outcome]:
    """Begun at the same moment: one has the name, the other is refused."""
    for number in range(count):
        case = lab.case(f"name-{number}")
        children = [lab.start(lab.beginning(case)) for _ in range(2)]
        ended = sorted((child.wait() for child in children), key=lambda end: end.code)
        fault, detail = "two engines of one name", f"number {number}"
        if ended[0].code == 0 and ended[1].is_two_lines and not lab.differences(case):
            yield Outcome(fault, detail, REFUSED)
        else:
            yield Outcome(fault, detail, LOSS, " | ".join(end.said[-300:] for end in ended))
        empty(case)


def two_on_one_set_of_experts(lab: Lab, count: int) -> Iterator[Outcome]:
    """Both train what is missing, and both come to the same end."""
    for number in range(count):
        case = lab.case(f"experts-{number}")
        children = [lab.start(lab.beginning(case, name)) for name in ("r", "s")]
        ended = [child.wait() for child in children]
        different = [part for name in ("r", "s") for part in lab.differences(case, name)]
        fault, detail = "two engines on one set of experts", f"number {number}"
        if any(end.code for end in ended) or different:
            said = " | ".join(end.said[-300:] for end in ended)
            yield Outcome(fault, detail, LOSS, f"{different} {said}")
        else:
            yield Outcome(fault, detail, SAME)
        empty(case)


def moved_clocks(lab: Lab, draws: random.Random, count: int) -> Iterator[Outcome]:
    """Set forward and back while a run goes, which is then killed and resumes at another time."""
    for number in range(count):
        case = lab.case(f"clock-{number}")
        child = lab.start(lab.beginning(case), moving_clock(draws.randrange(2**31)))
        time.sleep(draws.random() * lab.seconds)
        child.signal(signal.SIGKILL)
        child.wait()
        yield judge(lab, case, "the clock moved", f"number {number}", look=_exists(lab, case))
        empty(case)


def moving_clock(seed: int) -> Callable[[], None]:
    """Called in the child: time jumps by days, either way, every few readings."""

    def begin() -> None:
        draws, real, offset = random.Random(seed), time.time, [0.0]

        def moved() -> float:
            if draws.random() < 0.1:
                offset[0] = draws.uniform(-400 * DAY, 400 * DAY)
            return real() + offset[0]

        time.time = moved

    return begin


def lost_terminals(lab: Lab, draws: random.Random, count: int) -> Iterator[Outcome]:
    """Hung up, closed from the beginning, or a pipe that nobody reads."""
    for number in range(count):
        case = lab.case(f"terminal-{number}")
        manner = ("hung up", "closed pty", "streams closed", "pipe closed")[number % 4]
        moment = draws.random() * lab.seconds
        fault, detail = f"the terminal went: {manner}", f"after {moment:.2f} s"
        if manner == "closed pty":
            code, said = _on_closing_pty(lab, case, moment)
        else:
            before: Callable[[], object] = {
                "hung up": lambda: None,
                "streams closed": _close_streams,
                "pipe closed": _into_no_pipe,
            }[manner]
            words = [word for word in lab.beginning(case) if word != "--quiet"]
            child = lab.start(words, before)
            if manner == "hung up":
                time.sleep(moment)
                child.signal(signal.SIGHUP)
            code, said = _ended(child)
        wrong = _wrong_end(lab, case, manner, code)
        if wrong or "Traceback" in said:
            yield Outcome(fault, detail, LOSS, f"{wrong}: {said[-600:]}")
        else:
            yield judge(lab, case, fault, detail)
        empty(case)


def _wrong_end(lab: Lab, case: Path, manner: str, code: int) -> str:
    """A run that was hung up ends after its step with a checkpoint; else it runs to its end."""
    if manner in ("streams closed", "pipe closed"):
        return "" if code == 0 else f"exit code {code}"
    if code not in (0, 129, 141, -signal.SIGHUP):
        return f"exit code {code}"
    if code in (129, 141) and lab.run(case).status() not in ("stopped", "done"):
        return "it did not end cleanly"
    return ""


def _on_closing_pty(lab: Lab, case: Path, moment: float) -> tuple[int, str]:
    leader, follower = pty.openpty()

    def on_it() -> None:
        import fcntl
        import termios

        fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
        for number in (0, 1, 2):
            os.dup2(follower, number)
        os.close(leader)

    words = [word for word in lab.beginning(case) if word != "--quiet"]
    child = lab.start(words, on_it)
    os.close(follower)
    deadline = time.monotonic() + moment
    os.set_blocking(leader, False)
    while time.monotonic() < deadline and not child.poll():
        try:
            os.read(leader, 65536)
        except OSError:
            time.sleep(0.005)
    os.close(leader)
    return _ended(child)


def _ended(child: Child) -> tuple[int, str]:
    ended = child.wait()
    return ended.code, ended.said


def _close_streams() -> None:
    for number in (0, 1, 2):
        os.close(number)


def _into_no_pipe() -> None:
    """As under a shell's `| head`, which has seen enough."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    os.close(reading)


def _exists(lab: Lab, case: Path) -> bool:
    return (lab.run(case).path / "run.json").exists()


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.002)
