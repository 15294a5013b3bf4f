"""What of a trial's run is shown beside the lines of its tune."""

from __future__ import annotations

from dataclasses import dataclass

from datm_cli.session.run_stage import Reader
from datm_cli.text.sentences import sentence
from datm_engine.runs.events import CandidateScored, Event, Noted


@dataclass
class Watching:
    """All facts until something has been scored – images, experts –, then progress alone: every
    trial would tell the same."""

    reader: Reader
    begun: bool = False

    def read(self, event: Event) -> None:
        if not self.begun or sentence(event) is None:
            self.reader.read(event)
        self.begun = self.begun or isinstance(event, CandidateScored)

    def tell(self, text: str) -> None:
        self.reader.read(Noted(text=text))
