"""What a job asks for: its parameters, checked, and the files that it may touch.

All paths of a job are relative to the folder of its tenant below `MEDIA_ROOT`; one that leads out is refused.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, TextIO, Union

CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
NAME = re.compile(r"[\w][\w .()+-]{0,127}")


class Refused(Exception):
    """The job can't be done as it is asked for."""


class Job:
    """The input of one step."""

    def __init__(self, parameters: dict[str, Any], previous: Any, root: Path) -> None:
        self.parameters = parameters
        self.previous = previous if isinstance(previous, dict) else {}
        self.root = root

    @classmethod
    def read(cls, stream: TextIO) -> "Job":
        """Reads what the engine gives to a step."""
        try:
            given = json.load(stream)
            parameters, previous = given["parameters"], given["previous"]
        except (ValueError, TypeError, KeyError):
            raise Refused('stdin must be {"parameters": {…}, "previous": …}') from None
        root = Path(os.environ.get("MEDIA_ROOT", "/tmp/tasklane-media"))
        root = root / os.environ.get("TASKLANE_TENANT", "demo")
        root.mkdir(parents=True, exist_ok=True)
        return cls(parameters, previous, root.resolve())

    def text(self, name: str) -> str:
        """A parameter that must be a text."""
        value = self.parameters.get(name)
        if not isinstance(value, str) or not value:
            raise Refused(f"'{name}' must be a text")
        return value

    def name(self, name: str, *suffixes: str) -> str:
        """A parameter that names a file, without a folder, which ends with one of the suffixes."""
        value = self.text(name)
        if not NAME.fullmatch(value):
            raise Refused(f"'{name}' is {value!r}, which is no plain file name")
        if suffixes and not value.lower().endswith(suffixes):
            raise Refused(f"'{name}' is {value!r}, but it must end with {' or '.join(suffixes)}")
        return value

    def path(self, value: str) -> Path:
        """A path of the job as one of this machine."""
        path = (self.root / value).resolve()
        if path != self.root and self.root not in path.parents:
            raise Refused(f"{value!r} is not below the folder of media files")
        return path

    def source(self, value: Any, what: str = "source") -> Path:
        """A file that must be there."""
        if not isinstance(value, str) or not value:
            raise Refused(f"'{what}' must be the path of a file")
        path = self.path(value)
        if not path.is_file():
            raise Refused(f"'{what}' is {value!r}, and there is no such file")
        return path

    def output_folder(self) -> Path:
        """The folder for what is made; it is made too."""
        folder = self.path(self.text("output_folder"))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def shown(self, path: Path) -> str:
        """A path as jobs write it, so that the output of one can be the source of the next."""
        return str(path.relative_to(self.root))


def seconds(value: Union[str, int, float, None], what: str) -> float:
    """A time: seconds as a number or a text, or `[hours:]minutes:seconds`."""
    if isinstance(value, str):
        if clock := CLOCK.fullmatch(value):
            hours, minutes, rest = clock.groups()
            return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
        try:
            value = float(value)
        except ValueError:
            value = None
    # The comparison also refuses what is not a number at all.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6:
        raise Refused(f"'{what}' must be seconds from 0, such as 12.5 or 00:00:12.5")
    return float(value)
