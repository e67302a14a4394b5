"""The tasks of a session: one after the other, each with its status, result and intermediate status."""

import json
import queue
import threading
from datetime import datetime, timezone
from typing import Any, Optional

from request import RequestError
from solve import SERVICES, log


class Task:
    """One task; the worker writes it, and the HTTP side reads it."""

    def __init__(self, number: int, service: str, body: bytes) -> None:
        self.id = f"task-{number}"
        self.service = service
        self.body = body
        self.word = "queued"
        self.created_at = now()
        self.result: Optional[bytes] = None
        self.return_code: Optional[int] = None
        self.error: Optional[str] = None
        self.intermediate: Optional[bytes] = None
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """The search ends soon and answers with its best tour."""
        self._interrupted.set()

    def interrupted(self) -> bool:
        """Whether somebody wants the search to end."""
        return self._interrupted.is_set()

    def state(self, word: str) -> None:
        """The search says what it does."""
        self.word = word

    def progress(self, fraction: float, message: str) -> None:
        """The search says how far it is."""
        self.intermediate = json.dumps({"progress": round(fraction, 3), "message": message}).encode()

    def has_ended(self) -> bool:
        """Whether nothing follows."""
        return self.word in ("completed", "failed")

    def status(self) -> dict[str, Any]:
        """The status as the protocol has it: what is not known yet is left out."""
        status = {
            "id": self.id,
            "appName": "routing-session",
            "appVersion": "1.0",
            "serviceName": self.service,
            "state": self.word,
            "createdAt": self.created_at,
        }
        if self.has_ended():
            status["returnCode"] = self.return_code
            status["errorMessage"] = self.error
        return status

    def run(self) -> None:
        """Runs the task to its end, whatever happens in it."""
        self.word = "running"
        try:
            self.result = json.dumps(SERVICES[self.service](self.body, self)).encode()
            self.return_code = 0
            # The state goes last: whoever sees it finds everything else in its place.
            self.word = "completed"
        except RequestError as error:
            self.fail(" ".join(str(error).split()))
        except Exception as error:  # A fault of ours ends this task, and not the session.
            self.fail(f"the solver broke: {error!r}")

    def fail(self, message: str) -> None:
        """Ends the task badly."""
        log(message)
        self.error = message
        self.word = "failed"


class Session:
    """All tasks of this process, and the one thread that runs them."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._waiting: "queue.SimpleQueue[Task]" = queue.SimpleQueue()
        self._count = 0
        threading.Thread(target=self._work, daemon=True).start()

    def knows(self, service: str) -> bool:
        """Whether there is a service of that name."""
        return service in SERVICES

    def create(self, service: str, body: bytes) -> Task:
        """Takes a task in."""
        self._count += 1
        task = Task(self._count, service, body)
        self._tasks[task.id] = task
        self._waiting.put(task)
        return task

    def all(self) -> list[Task]:
        """Every task that was not deleted."""
        return list(self._tasks.values())

    def get(self, task_id: str) -> Optional[Task]:
        """One task."""
        return self._tasks.get(task_id)

    def forget(self, task: Task) -> None:
        """Deletes what is kept of a task."""
        self._tasks.pop(task.id, None)

    def _work(self) -> None:
        while True:
            task = self._waiting.get()
            if task.id in self._tasks:
                task.run()


def now() -> str:
    """This moment, as the protocol writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
