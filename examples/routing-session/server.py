"""The session process: the routing solver behind the HTTP session protocol.

It serves until it has had no task for as long as `X-Aimms-Max-Idle-Time` says.
"""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional
from urllib.parse import unquote

from session import Session, Task

BASE = "/api/v2/tasks"
MAX_BODY_BYTES = 2_000_000
IDLE_SECONDS = 300.0
# The engine ends idle sessions itself; we are the second to do so, and never in the middle of its question.
IDLE_MARGIN_SECONDS = 5.0


class Server(ThreadingHTTPServer):
    """The listener, which answers while a task runs."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.session = Session()
        self.idle_seconds = IDLE_SECONDS
        self.last_asked = time.monotonic()

    def end_when_idle(self) -> None:
        """Returns from serve_forever once nobody has asked for long enough and no task runs."""
        while True:
            rest = self.last_asked + self.idle_seconds + IDLE_MARGIN_SECONDS - time.monotonic()
            if rest > 0:
                time.sleep(rest)
            elif all(task.has_ended() for task in self.session.all()):
                return self.shutdown()
            else:
                time.sleep(1)


class Handler(BaseHTTPRequestHandler):
    """One connection; the engine keeps it open."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Without this each small answer waits for an acknowledgement that comes late.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        task_id, rest = self.parts()
        if task_id is None:
            return self.say([task.status() for task in self.server.session.all()])
        task = self.task(task_id)
        if task is None:
            return
        if rest == "":
            self.say(task.status())
        elif rest == "response" and task.has_ended() and task.result is not None:
            self.answer(200, task.result)
        elif rest == "status" and task.intermediate is not None:
            self.answer(200, task.intermediate)
        else:
            self.answer(404)

    def do_POST(self) -> None:
        body = self.body()
        service, rest = self.parts()
        if body is None:
            return
        if service is None or rest or not self.server.session.knows(service):
            return self.answer(403)
        idle = self.headers.get("X-Aimms-Max-Idle-Time", "")
        if idle.isdecimal():
            self.server.idle_seconds = float(idle)
        self.say(self.server.session.create(service, body).status())

    def do_PUT(self) -> None:
        body = self.body()
        task_id, _ = self.parts()
        task = self.task(task_id)
        if body is None or task is None:
            return
        try:
            wish = json.loads(body)["setstatus"]
        except (ValueError, KeyError, TypeError):
            wish = None
        if wish != "interrupt-solve":
            return self.answer(405)
        word = "interrupt-processed" if task.has_ended() else "interrupt-solve"
        task.interrupt()
        self.say({**task.status(), "setstatus": word})

    def do_DELETE(self) -> None:
        task_id, _ = self.parts()
        task = self.task(task_id)
        if task is None:
            return
        if task.word in ("running", "solving"):
            return self.answer(405)
        self.server.session.forget(task)
        self.answer(200)

    def parts(self) -> tuple[Optional[str], str]:
        """What the path says behind the base: an id or service, and what of it."""
        self.server.last_asked = time.monotonic()
        path = self.path.split("?")[0]
        if not path.startswith(BASE + "/"):
            return (None, "") if path == BASE else ("", "")
        first, _, rest = path[len(BASE) + 1 :].partition("/")
        return unquote(first), rest

    def task(self, task_id: Optional[str]) -> Optional[Task]:
        """The task, or an answer that there is none."""
        task = None if task_id is None else self.server.session.get(task_id)
        if task is None:
            self.answer(404)
        return task

    def body(self) -> Optional[bytes]:
        """The body of the request, or an answer why it is not taken."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self.chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return self.refuse_body()
        return self.rfile.read(int(length))

    def chunks(self) -> Optional[bytes]:
        """A body in chunks, as the engine sends large ones."""
        body = b""
        while True:
            size = int(self.rfile.readline(64).split(b";")[0], 16)
            if len(body) + size > MAX_BODY_BYTES:
                return self.refuse_body()
            body += self.rfile.read(size)
            self.rfile.readline(64)
            if size == 0:
                return body

    def refuse_body(self) -> None:
        """Says that the body is too large, and reads no more of it."""
        self.close_connection = True
        self.answer(413)

    def say(self, value: Any) -> None:
        """Answers with JSON."""
        self.answer(200, json.dumps(value).encode())

    def answer(self, code: int, body: bytes = b"") -> None:
        """Answers."""
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the engine asks often, and the log is for what tasks have to say."""


def main() -> None:
    """Serves until it is idle for too long or ended."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    server = Server(arguments.parse_args().port)
    threading.Thread(target=server.end_when_idle, daemon=True).start()
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
