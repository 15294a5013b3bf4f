"""The program's entry: it imports nothing that takes time until Ctrl+C is handled."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run datm. Ctrl+C while its modules are imported ends the process at once, with 130."""
    # Left alone where it is ignored, as in a screen that takes Ctrl+C as a key later.
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from datm_cli.app import run

    try:
        if is_default:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        sys.exit(130)
