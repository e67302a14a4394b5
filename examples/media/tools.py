"""ffmpeg and ffprobe: found, run with progress, and what they say of a file."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional

from job import Job, Refused

# Sources are files, whatever their names look like.
ONLY_FILES = ["-protocol_whitelist", "file"]
FFMPEG = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
PROGRESS = ["-progress", "pipe:1", "-nostats"]


class ToolError(Exception):
    """ffmpeg or ffprobe is missing, or did not do what was asked."""


def find_tools(_job: Job) -> dict[str, Any]:
    """The step `find_tools`: the versions of both programs."""
    found = {}
    for name in ("ffmpeg", "ffprobe"):
        if shutil.which(name) is None:
            path = os.environ.get("PATH", "")
            advice = "install ffmpeg (on Debian: apt-get install ffmpeg) where the runner is"
            raise ToolError(f"{name} is missing on this machine: {advice}; looked in {path}")
        said = subprocess.run([name, "-version"], capture_output=True, text=True, check=False)
        words = said.stdout.split()
        if said.returncode != 0 or len(words) < 3:
            raise ToolError(f"{name} -version ended with {said.returncode}: {said.stderr.strip()}")
        found[name] = words[2]
    return found


def input_file(path: Path) -> list[str]:
    """The arguments that name a source."""
    return [*ONLY_FILES, "-i", f"file:{path}"]


def run_ffmpeg(arguments: list[str], target: Path, duration: Optional[float] = None) -> None:
    """Runs ffmpeg, which writes to the target; reports how far it is where the duration is known."""
    command = [*FFMPEG, *PROGRESS, *arguments, f"file:{target}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        key, _, value = line.strip().partition("=")
        if key == "out_time_us" and duration and value.lstrip("-").isdigit():
            report(int(value) / 1e6 / duration, target.name)
    if process.wait() != 0:
        code = process.returncode
        raise ToolError(f"ffmpeg could not make {target.name} (code {code}); its own lines are in the log")


def report(progress: float, message: str) -> None:
    """Tells the engine how far the step is; by hand there is nobody to tell."""
    descriptor = os.environ.get("TASKLANE_STATUS_FD")
    if descriptor and descriptor.isdecimal():
        line = {"progress": round(min(max(progress, 0.0), 1.0), 3), "message": message}
        os.write(int(descriptor), json.dumps(line).encode() + b"\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to. The file takes its own name once it is whole, so a step that is run twice, or ended in
    the middle, leaves no half of a file under it."""
    part = path.with_name(f".part-{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of a file."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", *input_file(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode != 0:
        # The last line is the reason, and the whole message has to be one line: the engine takes the last as the error.
        reason = said.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise ToolError(f"{path.name} is no media file: {reason[0].removeprefix(f'file:{path}: ')}")
    return json.loads(said.stdout)


def stream(probed: dict[str, Any], kind: str) -> Optional[dict[str, Any]]:
    """The first stream of a kind, `video` or `audio`."""
    return next((one for one in probed["streams"] if one.get("codec_type") == kind), None)


def duration_of(probed: dict[str, Any]) -> Optional[float]:
    """How long it lasts; pictures have no duration."""
    try:
        return float(probed["format"]["duration"])
    except (KeyError, ValueError):
        return None


def verify(job: Job) -> dict[str, Any]:
    """The step `verify`: what was made is there and can be read; its output is the result of the job."""
    files = job.previous.get("files")
    if not files:
        raise Refused("no step before has made a file")
    metadata: dict[str, Any] = {}
    for name in files:
        path = job.path(name)
        if path.suffix == ".vtt":
            if not path.read_text().startswith("WEBVTT"):
                raise ToolError(f"{name} is no WebVTT file")
            continue
        probed = probe(path)
        if not probed["streams"]:
            raise ToolError(f"{name} has neither picture nor sound")
        if not metadata:
            metadata = described(probed)
    print(f"{len(files)} files can be read", file=sys.stderr)
    return {"files": files, "metadata": metadata}


def described(probed: dict[str, Any]) -> dict[str, Any]:
    """What a callback tells of a file."""
    about: dict[str, Any] = {"format": probed["format"]["format_name"], "size": int(probed["format"]["size"])}
    if duration := duration_of(probed):
        about["duration"] = duration
    if video := stream(probed, "video"):
        about |= {"video": video["codec_name"], "width": video["width"], "height": video["height"]}
    if audio := stream(probed, "audio"):
        about["audio"] = audio["codec_name"]
    return about
