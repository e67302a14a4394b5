"""Tests of the session process as Tasklane uses it: a real process, spoken to over HTTP."""

import http.client
import json
import socket
import subprocess
import sys
import time
import unittest
from pathlib import Path
from typing import Any, Optional

from tsplib import is_tour, load_instance, tour_length

FOLDER = Path(__file__).resolve().parent
# A bound for a test that hangs, far above what any of them needs.
DEADLINE_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SessionProcess(unittest.TestCase):
    def setUp(self) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-B", "server.py", "--port", str(self.port)], cwd=FOLDER, stderr=subprocess.PIPE
        )
        self.addCleanup(self.end)
        self.until(lambda: self.is_ready(), "the session is ready")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def is_ready(self) -> bool:
        try:
            return self.ask("GET", "/api/v2/tasks")[0] == 200
        except OSError:
            return False

    def until(self, look: Any, what: str) -> Any:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.005)
        raise AssertionError(f"not in time: {what}")

    def ask(self, method: str, path: str, body: Optional[bytes] = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def create(self, request: Any) -> str:
        status, body = self.ask("POST", "/api/v2/tasks/solve", json.dumps(request).encode())
        self.assertEqual(status, 200)
        return json.loads(body)["id"]

    def status(self, task_id: str) -> dict[str, Any]:
        status, body = self.ask("GET", f"/api/v2/tasks/{task_id}")
        self.assertEqual(status, 200)
        return json.loads(body)

    def until_ended(self, task_id: str) -> dict[str, Any]:
        def look() -> Optional[dict[str, Any]]:
            status = self.status(task_id)
            return status if status["state"] in ("completed", "failed") else None

        return self.until(look, f"{task_id} has ended")

    def answer(self, task_id: str) -> dict[str, Any]:
        status, body = self.ask("GET", f"/api/v2/tasks/{task_id}/response")
        self.assertEqual(status, 200)
        return json.loads(body)

    def test_two_tasks_run_one_after_the_other_in_one_process(self) -> None:
        instance = load_instance("berlin52")
        ids = [self.create({"instance": "berlin52", "seed": seed}) for seed in (1, 2)]
        self.assertNotEqual(*ids)
        for task_id in ids:
            self.assertEqual(self.until_ended(task_id)["returnCode"], 0)
            answer = self.answer(task_id)
            tour = answer["tour"]
            self.assertTrue(is_tour(tour, len(instance.coordinates)))
            self.assertEqual(answer["length"], tour_length(instance.coordinates, tour))
            self.assertEqual(self.ask("DELETE", f"/api/v2/tasks/{task_id}")[0], 200)
            self.assertEqual(self.ask("GET", f"/api/v2/tasks/{task_id}")[0], 404)
        self.assertIsNone(self.process.poll())

    def test_an_interrupted_search_answers_with_its_best_tour(self) -> None:
        task_id = self.create({"instance": "pcb442", "seconds": 300})
        self.until(lambda: self.status(task_id)["state"] == "solving", "it is solving")
        self.until(lambda: self.ask("GET", f"/api/v2/tasks/{task_id}/status")[0] == 200, "it tells its progress")
        self.assertEqual(self.ask("DELETE", f"/api/v2/tasks/{task_id}")[0], 405)
        status, body = self.ask("PUT", f"/api/v2/tasks/{task_id}", b'{"setstatus":"interrupt-solve"}')
        self.assertEqual((status, json.loads(body)["setstatus"]), (200, "interrupt-solve"))
        self.assertEqual(self.until_ended(task_id)["state"], "completed")
        self.assertTrue(self.answer(task_id)["interrupted"])

    def test_bad_requests_fail_their_task_and_not_the_session(self) -> None:
        task_id = self.create({"instance": "atlantis"})
        status = self.until_ended(task_id)
        self.assertEqual(status["state"], "failed")
        self.assertIn("unknown instance", status["errorMessage"])
        self.assertEqual(self.ask("GET", f"/api/v2/tasks/{task_id}/response")[0], 404)
        self.assertEqual(self.ask("POST", "/api/v2/tasks/dance", b"{}")[0], 403)
        self.assertEqual(self.ask("PUT", f"/api/v2/tasks/{task_id}", b'{"setstatus":"dance"}')[0], 405)
        self.assertEqual(self.ask("GET", "/api/v2/tasks/none")[0], 404)
        self.assertEqual(self.ask("GET", "/elsewhere")[0], 404)
        self.assertEqual(self.until_ended(self.create({"instance": "berlin52"}))["state"], "completed")


if __name__ == "__main__":
    unittest.main()
