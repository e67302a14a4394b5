"""One step of a media workflow: `python3 step.py NAME`.

The step reads `{"parameters": …, "previous": …}` from stdin and writes its output, one JSON object, to stdout.
The last line on stderr says why it failed.
"""

import json
import sys

import pictures
import videos
from job import Job, Refused
from tools import ToolError, find_tools, verify

STEPS = {
    "find_tools": find_tools,
    "make_tracks": videos.make_tracks,
    "get_filenames": videos.get_filenames,
    "mux_tracks": videos.mux_tracks,
    "encode_trickplay": videos.encode_trickplay,
    "capture_clips": videos.capture_clips,
    "join_clips": videos.join_clips,
    "draw_gif": pictures.draw_gif,
    "grab_frame": pictures.grab_frame,
    "extract_thumbnails": pictures.extract_thumbnails,
    "write_index": pictures.write_index,
    "verify": verify,
}


def main() -> int:
    """Runs the step that the command line names; gives the exit code."""
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        print(f"usage: python3 step.py {'|'.join(STEPS)}", file=sys.stderr)
        return 2
    try:
        output = STEPS[sys.argv[1]](Job.read(sys.stdin))
    except (Refused, ToolError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    json.dump(output, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
