"""Reports phases and progress to Tasklane, as lines of JSON on the status descriptor."""

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Optional

VARIABLE = "TASKLANE_STATUS_FD"
# A person cannot read faster, and every line costs the engine a little.
SECONDS_BETWEEN_PROGRESS = 0.2


class StatusReporter:
    """Writes status lines; does nothing where the program is run by hand."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._descriptor = _descriptor_of(environment.get(VARIABLE))
        self._next_progress = 0.0

    def phase(self, name: str) -> None:
        """Reports the phase: "solving" while searching, "running" otherwise."""
        self._write({"phase": name})

    def wants_progress(self) -> bool:
        """Whether enough time has passed since the last progress line."""
        return self._descriptor is not None and time.monotonic() >= self._next_progress

    def progress(self, fraction: float, message: str) -> None:
        """Reports how much of the budget is used (0 to 1) and how good the tour is."""
        self._next_progress = time.monotonic() + SECONDS_BETWEEN_PROGRESS
        self._write({"progress": round(min(max(fraction, 0.0), 1.0), 3), "message": message})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        except OSError as error:
            # Progress is a courtesy: the search goes on without it.
            self._descriptor = None
            print(f"no more progress reports: {error}", file=sys.stderr)


def _descriptor_of(value: Optional[str]) -> Optional[int]:
    if value is None:
        return None
    if not value.isdecimal():
        print(f"{VARIABLE} is not a number, so progress is not reported", file=sys.stderr)
        return None
    return int(value)
