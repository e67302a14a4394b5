"""The steps that make pictures."""

import os
import sys
from pathlib import Path
from typing import Any

from job import Job, Refused, seconds
from tools import duration_of, input_file, probe, replacing, run_ffmpeg

GIF_SECONDS_MAX = 60
THUMBNAIL_INTERVAL = 10
THUMBNAIL_WIDTH = 160
THUMBNAILS_MAX = 5_000


def within(job: Job, source: Path, value: Any, what: str) -> float:
    """A moment that must lie within the source."""
    at = seconds(value, what)
    length = duration_of(probe(source))
    if length is None or at >= length:
        raise Refused(f"'{what}' is {at} s, but {job.shown(source)} lasts {length} s")
    return at


def draw_gif(job: Job) -> dict[str, Any]:
    """An animated GIF of a part of the source, with a palette of its own."""
    source = job.source(job.parameters.get("source"))
    start = within(job, source, job.parameters.get("start_at"), "start_at")
    length = seconds(job.parameters.get("duration"), "duration")
    if not 0 < length <= GIF_SECONDS_MAX:
        raise Refused(f"'duration' must be above 0 and at most {GIF_SECONDS_MAX} seconds")
    target = job.output_folder() / job.name("gif_filename", ".gif")
    with replacing(target) as part:
        cut = ["-ss", str(start), "-t", str(length), *input_file(source)]
        colours = "fps=10,scale=w='min(320,iw)':h=-2,split[a][b];[a]palettegen[p];[b][p]paletteuse"
        run_ffmpeg([*cut, "-an", "-filter_complex", colours, "-f", "gif"], part, length)
    return {"files": [job.shown(target)]}


def grab_frame(job: Job) -> dict[str, Any]:
    """The picture that is shown at a moment of the source."""
    source = job.source(job.parameters.get("source"))
    at = within(job, source, job.parameters.get("frame_time"), "frame_time")
    target = job.output_folder() / job.name("image_filename", ".jpg", ".jpeg", ".png")
    codec = "png" if target.suffix.lower() == ".png" else "mjpeg"
    with replacing(target) as part:
        one = ["-frames:v", "1", "-q:v", "2", "-c:v", codec, "-f", "image2", "-update", "1"]
        run_ffmpeg(["-ss", str(at), *input_file(source), *one], part)
        if not part.is_file():
            raise Refused(f"{job.shown(source)} has no picture at {at} s")
    return {"files": [job.shown(target)]}


def extract_thumbnails(job: Job) -> dict[str, Any]:
    """A small picture for every `interval` seconds of the source."""
    source = job.source(job.parameters.get("source"))
    length = duration_of(probe(source))
    interval = seconds(job.parameters.get("interval", THUMBNAIL_INTERVAL), "interval")
    if length is None:
        raise Refused(f"{job.shown(source)} has no moving picture")
    if interval < 0.1 or length / interval > THUMBNAILS_MAX:
        raise Refused(f"'interval' must be at least 0.1 s and give at most {THUMBNAILS_MAX} pictures")
    folder, stem = job.output_folder(), job.name("content_id")
    parts = folder / f".part-{stem}-%05d.jpg"
    for left in folder.glob(f".part-{stem}-*.jpg"):
        left.unlink()
    # The first frame at or after each multiple of the interval, the very first included.
    chosen = f"select='isnan(prev_selected_t)+gte(floor(t/{interval}),floor(prev_selected_t/{interval})+1)'"
    filters = ["-an", "-vf", f"{chosen},scale={THUMBNAIL_WIDTH}:-2", "-fps_mode", "vfr", "-q:v", "4", "-f", "image2"]
    run_ffmpeg([*input_file(source), *filters], parts, length)
    files = []
    for part in sorted(folder.glob(f".part-{stem}-*.jpg")):
        target = part.with_name(part.name.removeprefix(".part-"))
        os.replace(part, target)
        files.append(job.shown(target))
    print(f"{len(files)} thumbnails", file=sys.stderr)
    return {"files": files, "interval": interval, "length": length}


def write_index(job: Job) -> dict[str, Any]:
    """A WebVTT file that says which picture belongs to which seconds, as players read it."""
    files, interval = job.previous.get("files", []), job.previous["interval"]
    target = job.output_folder() / f"{job.name('content_id')}.vtt"
    lines = ["WEBVTT", ""]
    for number, name in enumerate(files):
        end = min((number + 1) * interval, job.previous["length"])
        lines += [f"{clock(number * interval)} --> {clock(end)}", Path(name).name, ""]
    with replacing(target) as part:
        part.write_text("\n".join(lines))
    return {"files": [*files, job.shown(target)]}


def clock(at: float) -> str:
    """Seconds as WebVTT writes them."""
    millis = round(at * 1000)
    return f"{millis // 3_600_000:02}:{millis // 60_000 % 60:02}:{millis // 1000 % 60:02}.{millis % 1000:03}"
