"""The steps that make videos."""

import os
import shutil
from pathlib import Path
from typing import Any, Optional

from job import Job, Refused, seconds
from tools import ToolError, duration_of, input_file, probe, replacing, run_ffmpeg, stream

SUFFIXES = {".mp4", ".m4v", ".m4a", ".mov", ".mkv", ".webm", ".ts", ".cmfv", ".cmfa", ".aac"}
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
AAC = ["-c:a", "aac", "-ar", "48000", "-ac", "2"]
SAMPLE_SECONDS = 4
SAMPLE_SECONDS_MAX = 600
CLIPS_MAX = 100
TRICKPLAY_HEIGHT = 180


def make_tracks(job: Job) -> dict[str, Any]:
    """A test picture and a tone, each in a file of its own, from ffmpeg's own sources."""
    length = seconds(job.parameters.get("duration", SAMPLE_SECONDS), "duration")
    if not 1 <= length <= SAMPLE_SECONDS_MAX:
        raise Refused(f"'duration' must be from 1 to {SAMPLE_SECONDS_MAX} seconds")
    folder = job.output_folder()
    picture = ["-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=25:duration={length}", *X264, "-g", "25"]
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={length}", *AAC]
    files = []
    for name, arguments in (("video.mp4", picture), ("audio.m4a", tone)):
        with replacing(folder / name) as part:
            run_ffmpeg([*arguments, "-f", "mp4"], part, length)
        files.append(job.shown(folder / name))
    return {"files": files}


def made_of(job: Job) -> str:
    """What the file of a job is called that names none."""
    return job.name("content_id")


def get_filenames(job: Job) -> dict[str, Any]:
    """The largest picture and the first sound among the media files of the source folder."""
    folder = job.path(job.text("source_folder"))
    if not folder.is_dir():
        raise Refused(f"'source_folder' is {job.text('source_folder')!r}, and there is no such folder")
    made = {f"{made_of(job)}.mp4", f"{made_of(job)}-trickplay.mp4"}
    named = [path for path in sorted(folder.iterdir()) if path.name not in made and not path.name.startswith(".")]
    video: Optional[tuple[int, Path]] = None
    audio: Optional[Path] = None
    for path in (path for path in named if path.suffix.lower() in SUFFIXES and path.is_file()):
        probed = probe(path)
        if found := stream(probed, "video"):
            size = found["width"] * found["height"]
            video = (size, path) if video is None or size > video[0] else video
        if audio is None and stream(probed, "audio"):
            audio = path
    if video is None:
        raise Refused("no file in 'source_folder' has a picture")
    return {"video": job.shown(video[1]), "audio": job.shown(audio) if audio else None}


def mux_tracks(job: Job) -> dict[str, Any]:
    """One progressive MP4 of the tracks, which are copied as they are."""
    video = job.source(job.previous.get("video"), "video")
    audio = job.previous.get("audio")
    arguments = input_file(video)
    maps = ["-map", "0:v:0"]
    if audio is not None:
        arguments += input_file(job.source(audio, "audio"))
        maps += ["-map", "1:a:0"]
    target = video.parent / f"{made_of(job)}.mp4"
    with replacing(target) as part:
        encoded = ["-c", "copy", "-movflags", "+faststart", "-f", "mp4"]
        run_ffmpeg([*arguments, *maps, *encoded], part, duration_of(probe(video)))
    return {"files": [job.shown(target)]}


def encode_trickplay(job: Job) -> dict[str, Any]:
    """A small track for winding: one picture per second, and each a key frame."""
    video = job.source(job.previous.get("video"), "video")
    target = video.parent / f"{made_of(job)}-trickplay.mp4"
    with replacing(target) as part:
        filters = ["-an", "-vf", f"fps=1,scale=-2:{TRICKPLAY_HEIGHT}", *X264, "-g", "1", "-f", "mp4"]
        run_ffmpeg([*input_file(video), *filters], part, duration_of(probe(video)))
    return {"files": [job.shown(target)]}


def capture_clips(job: Job) -> dict[str, Any]:
    """Each clip, cut to the frame, as a part with the picture size of the first."""
    clips = job.parameters.get("clips")
    if not isinstance(clips, list) or not 1 <= len(clips) <= CLIPS_MAX:
        raise Refused(f"'clips' must be a list of 1 to {CLIPS_MAX} clips")
    # Kept beside the result, since the scratch folder of a step ends with the step.
    folder = job.output_folder() / f".clips-{os.environ.get('TASKLANE_TASK_ID', made_of(job))}"
    folder.mkdir(exist_ok=True)
    parts, size = [], None
    for number, clip in enumerate(clips):
        part = folder / f"{number:04}.mp4"
        size = capture(job, clip, part, size)
        parts.append(job.shown(part))
    return {"parts": parts}


def capture(job: Job, clip: Any, part: Path, size: Optional[tuple[int, int]]) -> tuple[int, int]:
    """One clip; gives the size of its picture."""
    if not isinstance(clip, dict):
        raise Refused("a clip is an object with source, start and end")
    source = clip_source(job, clip)
    probed = probe(source)
    video, length = stream(probed, "video"), duration_of(probed)
    if video is None or length is None:
        raise Refused(f"{job.shown(source)} has no moving picture")
    start = seconds(clip.get("start", 0), "start")
    end = min(seconds(clip.get("end", length), "end"), length)
    if end <= start:
        raise Refused(f"a clip from {start} to {end} seconds of {job.shown(source)} is empty")
    width, height = size or (video["width"] // 2 * 2, video["height"] // 2 * 2)
    cut = ["-ss", str(start), "-t", str(end - start)]
    has_sound = stream(probed, "audio") is not None
    silence = [] if has_sound else ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]
    maps = ["-map", "0:v:0", "-map", "0:a:0" if has_sound else "1:a:0", "-t", str(end - start)]
    fitted = f"scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:-1:-1,fps=25,setsar=1"
    with replacing(part) as name:
        encoded = ["-vf", fitted, *X264, *AAC, "-f", "mp4"]
        run_ffmpeg([*cut, *input_file(source), *silence, *maps, *encoded], name, end - start)
    return width, height


def clip_source(job: Job, clip: dict[str, Any]) -> Path:
    """The source of a clip: of several the first that is there."""
    sources = clip.get("sources")
    if isinstance(sources, list):
        for source in sources:
            if isinstance(source, str) and job.path(source).is_file():
                return job.path(source)
        raise Refused("none of the 'sources' of a clip is there")
    return job.source(clip.get("source"))


def join_clips(job: Job) -> dict[str, Any]:
    """The parts in their order as one MP4."""
    names = job.previous.get("parts", [])
    if not names:
        raise ToolError("no step before has captured a clip")
    target = job.output_folder() / f"{made_of(job)}.mp4"
    folder = job.path(names[0]).parent
    if not folder.is_dir() and target.is_file():
        # This step has run before and was lost only after its work was done.
        return {"files": [job.shown(target)]}
    parts = [job.source(name, "part") for name in names]
    listing = folder / "parts.txt"
    # The names are our own, four digits each, so they need no quoting.
    listing.write_text("".join(f"file {part.name}\n" for part in parts))
    length = sum(duration_of(probe(part)) or 0 for part in parts)
    with replacing(target) as name:
        joined = ["-f", "concat", *input_file(listing), "-c", "copy", "-movflags", "+faststart", "-f", "mp4"]
        run_ffmpeg(joined, name, length)
    shutil.rmtree(folder)
    return {"files": [job.shown(target)]}
