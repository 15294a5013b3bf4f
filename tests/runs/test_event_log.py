"""An event log is followed while it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from datm_engine.runs.event_log import EventReader, to_json
from datm_engine.runs.events import Event, Noted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def line(text: str) -> bytes:
    return to_json(Noted(text=text)).encode() + b"\n"


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noted)]


def test_only_what_is_new_is_read(path: Path) -> None:
    reader = EventReader(path)
    assert reader.read() == []
    path.write_bytes(line("one") + line("two"))
    assert texts(reader.read()) == ["one", "two"]
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(line("three"))
    assert texts(reader.read()) == ["three"]


def test_a_line_is_read_when_it_is_whole(path: Path) -> None:
    reader, whole = EventReader(path), line("caf\N{LATIN SMALL LETTER E WITH ACUTE} \u03b7")
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert reader.read() == [], "also where a character is cut in two"
    path.write_bytes(whole)
    assert texts(reader.read()) == ["caf\N{LATIN SMALL LETTER E WITH ACUTE} \u03b7"]


def test_what_is_no_event_is_passed_over(path: Path) -> None:
    path.write_bytes(line("a") + b'{"event": "Noted", "te\n\xff\xfe\n\n[]\n' + line("b"))
    assert texts(EventReader(path).read()) == ["a", "b"]


def test_a_file_that_shrank_is_read_anew(path: Path) -> None:
    reader = EventReader(path)
    path.write_bytes(line("a long first text") + b"half")
    assert texts(reader.read()) == ["a long first text"]
    assert not reader.rewound
    path.write_bytes(line("b"))
    assert texts(reader.read()) == ["b"]
    assert reader.rewound
    reader.read()
    assert not reader.rewound


def test_what_cannot_be_read_is_reported(path: Path) -> None:
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        EventReader(path).read()
