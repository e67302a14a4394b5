"""Tests of the services as Tasklane runs them: real processes, pipes and signals."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from tsplib import is_tour, load_instance, tour_length

FOLDER = Path(__file__).resolve().parent
# A bound for a test that hangs, far above what any of them needs.
DEADLINE_SECONDS = 60


def run(script: str, request: Any, **environment: str) -> subprocess.CompletedProcess:
    """Runs a service to its end; a request that is bytes goes in as it is."""
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    return subprocess.run(
        [sys.executable, script],
        cwd=FOLDER,
        input=data,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def run_with_status(request: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Runs `solve` with a status descriptor; returns the answer and the status lines."""
    with SolveProcess(request) as process:
        lines = [json.loads(line) for line in process.status]
        return process.answer(), lines


class SolveProcess:
    """A running `solve` whose status lines can be read while it works."""

    def __init__(self, request: Any) -> None:
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "solve.py"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TASKLANE_STATUS_FD": str(write_end)},
            pass_fds=(write_end,),
        )
        os.close(write_end)
        self.status = os.fdopen(read_end, "rb")
        self.process.stdin.write(json.dumps(request).encode())
        self.process.stdin.close()
        # The file is closed, so that communicate() must not touch it any more.
        self.process.stdin = None

    def __enter__(self) -> "SolveProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.status.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def answer(self) -> dict[str, Any]:
        """Waits for the end, which must be a success, and returns the answer."""
        output, errors = self.process.communicate(timeout=DEADLINE_SECONDS)
        if self.process.returncode != 0:
            raise AssertionError(f"exit {self.process.returncode}: {errors.decode()}")
        return json.loads(output)


class Solve(unittest.TestCase):
    def assert_answers(self, answer: dict[str, Any], name: str) -> None:
        """The tour is valid, and what the answer says of it is true."""
        instance = load_instance(name)
        self.assertTrue(is_tour(answer["tour"], len(instance.coordinates)))
        self.assertEqual(answer["instance"], name)
        self.assertEqual(answer["nodes"], len(instance.coordinates))
        self.assertEqual(answer["length"], tour_length(instance.coordinates, answer["tour"]))
        self.assertEqual(answer["optimum"], instance.optimum)

    def test_berlin52_is_solved_to_its_optimum(self) -> None:
        result = run("solve.py", {"instance": "berlin52", "iterations": 2000})
        self.assertEqual(result.returncode, 0, result.stderr)
        answer = json.loads(result.stdout)
        self.assert_answers(answer, "berlin52")
        self.assertEqual(answer["length"], 7542)
        self.assertEqual(answer["gap_percent"], 0.0)
        self.assertFalse(answer["interrupted"])
        self.assertGreater(answer["improvements"], 0)
        self.assertIn(b"optimum reached", result.stderr)

    def test_the_larger_instance_gets_within_two_per_cent(self) -> None:
        answer = json.loads(run("solve.py", {"instance": "pcb442", "iterations": 1000}).stdout)
        self.assert_answers(answer, "pcb442")
        self.assertLess(answer["gap_percent"], 2)

    def test_the_same_seed_and_iterations_give_the_same_tour(self) -> None:
        request = {"instance": "pcb442", "iterations": 50, "seed": 7}
        tours = [json.loads(run("solve.py", request).stdout)["tour"] for _ in range(2)]
        self.assertEqual(tours[0], tours[1])
        other = json.loads(run("solve.py", {**request, "seed": 8}).stdout)["tour"]
        self.assertNotEqual(tours[0], other)

    def test_own_coordinates_are_solved(self) -> None:
        square = [[0, 0], [10, 10], [0, 10], [10, 0]]
        answer = json.loads(run("solve.py", {"coordinates": square, "iterations": 5}).stdout)
        self.assertEqual(answer["length"], 40)
        self.assertEqual(answer["tour"][0], 1)
        self.assertIsNone(answer["instance"])
        self.assertIsNone(answer["optimum"])
        self.assertIsNone(answer["gap_percent"])

    def test_nodes_at_one_place_are_solved(self) -> None:
        request = {"coordinates": [[3, 3]] * 30, "iterations": 5}
        answer = json.loads(run("solve.py", request).stdout)
        self.assertTrue(is_tour(answer["tour"], 30))
        self.assertEqual(answer["length"], 0)

    def test_status_lines_tell_phases_and_progress(self) -> None:
        answer, lines = run_with_status(
            {"instance": "berlin52", "seconds": 2, "stop_at_optimum": False}
        )
        self.assert_answers(answer, "berlin52")
        self.assertEqual(lines[0], {"phase": "solving"})
        self.assertEqual(lines[-1], {"phase": "running"})
        progress = lines[1:-1]
        for line in progress:
            self.assertEqual(sorted(line), ["message", "progress"])
            self.assertRegex(line["message"], r"^tour \d+, [\d.]+ % over the optimum$")
        fractions = [line["progress"] for line in progress]
        self.assertEqual(fractions, sorted(fractions))
        self.assertEqual((fractions[0], fractions[-1]), (0.0, 1.0))
        # Five a second, and one more at each end.
        self.assertIn(len(progress), range(3, 13))

    def test_an_unusable_status_descriptor_does_not_harm(self) -> None:
        for value in ("987", "nonsense"):
            with self.subTest(value):
                result = run("solve.py", {"instance": "berlin52"}, TASKLANE_STATUS_FD=value)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(json.loads(result.stdout)["length"], 7542)
                self.assertIn(b"progress", result.stderr)


class Interrupt(unittest.TestCase):
    def test_the_best_tour_so_far_is_the_answer(self) -> None:
        with SolveProcess({"instance": "pcb442", "seconds": 500}) as process:
            self.assertEqual(json.loads(process.status.readline()), {"phase": "solving"})
            process.process.send_signal(signal.SIGINT)
            answer = process.answer()
            lines = [json.loads(line) for line in process.status]
        instance = load_instance("pcb442")
        self.assertTrue(answer["interrupted"])
        self.assertTrue(is_tour(answer["tour"], 442))
        self.assertEqual(answer["length"], tour_length(instance.coordinates, answer["tour"]))
        self.assertLess(answer["seconds"], DEADLINE_SECONDS)
        self.assertEqual(lines[-1], {"phase": "running"})

    def test_an_interrupt_before_the_search_gives_the_first_tour(self) -> None:
        program = "import os, signal, solve; os.kill(os.getpid(), signal.SIGINT); solve.main()"
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=FOLDER,
            input=b'{"instance": "pcb442"}',
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        answer = json.loads(result.stdout)
        self.assertTrue(answer["interrupted"])
        self.assertEqual(answer["improvements"], 0)
        self.assertTrue(is_tour(answer["tour"], 442))


class BadRequests(unittest.TestCase):
    CASES = [
        (b"", "the input is not JSON"),
        (b"{", "the input is not JSON"),
        (b"\xff\xfe", "the input is not JSON"),
        (b"[" * 100_000, "the input is not JSON"),
        (b" " * 1_000_001, "the input is longer than 1000000 bytes"),
        ([], "the input must be a JSON object"),
        ({}, "give either instance or coordinates"),
        ({"instance": "berlin52", "coordinates": []}, "give either instance or coordinates"),
        ({"instance": "../berlin52"}, "unknown instance '../berlin52'; known are berlin52, pcb442"),
        ({"instance": ["berlin52"]}, "unknown instance ['berlin52']; known are"),
        ({"instance": "x" * 100_000}, "known are berlin52, pcb442"),
        ({"instance": "berlin52", "secs": 3}, "unknown field 'secs'; known are"),
        ({"instance": "berlin52", "seconds": 0}, "seconds must be a number above 0"),
        ({"instance": "berlin52", "seconds": 541}, "seconds must be a number above 0"),
        ({"instance": "berlin52", "seconds": "9"}, "seconds must be a number above 0"),
        ({"instance": "berlin52", "seconds": True}, "seconds must be a number above 0"),
        (b'{"instance": "berlin52", "seconds": NaN}', "seconds must be a number above 0"),
        ({"instance": "berlin52", "iterations": 0}, "iterations must be a whole number from 1"),
        ({"instance": "berlin52", "iterations": 1.5}, "iterations must be a whole number from 1"),
        ({"instance": "berlin52", "iterations": 1, "seconds": 1}, "not both"),
        ({"instance": "berlin52", "seed": -1}, "seed must be a whole number from 0"),
        ({"instance": "berlin52", "stop_at_optimum": 0}, "stop_at_optimum must be true or false"),
        ({"coordinates": "0,0"}, "coordinates must be a list of [x, y] pairs"),
        ({"coordinates": [[0, 0], [1, 1]]}, "a tour needs at least 3 nodes, not 2"),
        ({"coordinates": [[0, 0]] * 2001}, "too many nodes: 2001; at most 2000"),
        ({"coordinates": [[0, 0], [1], [2, 2]]}, "coordinates of node 2 must be [x, y]"),
        ({"coordinates": [[0, 0], [1, 1], [2, None]]}, "coordinates of node 3 must be [x, y]"),
        ({"coordinates": [[0, 10**400], [1, 1], [2, 2]]}, "coordinates of node 1 must be [x, y]"),
    ]

    def test_each_is_refused_with_exit_code_2_and_a_reason(self) -> None:
        for request, reason in self.CASES:
            with self.subTest(reason, request=str(request)[:60]):
                result = run("solve.py", request)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(result.stdout, b"")
                last_line = result.stderr.decode().splitlines()[-1]
                self.assertIn(reason, last_line)
                self.assertLess(len(last_line), 200)


class Check(unittest.TestCase):
    def check(self, **fields: Any) -> dict[str, Any]:
        result = run("check.py", fields)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_an_answer_of_solve_is_valid(self) -> None:
        solved = json.loads(run("solve.py", {"instance": "berlin52"}).stdout)
        checked = self.check(**solved)
        self.assertTrue(checked["valid"], checked)
        self.assertEqual((checked["length"], checked["gap_percent"]), (7542, 0.0))

    def test_what_is_wrong_with_a_tour_is_said(self) -> None:
        corners = [[0, 0], [0, 10], [10, 10], [10, 0]]
        cases = [
            ({"tour": [1, 2, 3, 4], "length": 39}, "the length is 40, not 39"),
            ({"tour": [1, 2, 2, 4]}, "node 2 is visited twice"),
            ({"tour": [1, 2, 4]}, "node 3 is not visited"),
            ({"tour": [1, 2, 3, 5]}, "there is no node 5; nodes go from 1 to 4"),
        ]
        for fields, problem in cases:
            with self.subTest(problem):
                checked = self.check(coordinates=corners, **fields)
                self.assertFalse(checked["valid"])
                self.assertEqual(checked["problem"], problem)

    def test_a_request_without_a_tour_is_refused(self) -> None:
        for fields in ({"instance": "berlin52"}, {"instance": "berlin52", "tour": ["1"]}):
            result = run("check.py", fields)
            self.assertEqual(result.returncode, 2)
            self.assertIn(b"tour must be a list of node numbers", result.stderr)


if __name__ == "__main__":
    unittest.main()
