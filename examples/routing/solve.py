"""The service `solve`: finds a short tour through all nodes of an instance.

The request comes as JSON on stdin and the answer goes as JSON to stdout; the
README shows both. On SIGINT it answers with the best tour it has.
"""

# An interrupt may come while the rest is still being imported.
import interrupt

interrupt.install()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from random import Random  # noqa: E402
from typing import Any, Optional  # noqa: E402

from request import (  # noqa: E402
    RequestError,
    SolveRequest,
    read_json_object,
    refuse,
    solve_request,
)
from search import LocalSearch, distance_matrix, nearest_neighbour_tour  # noqa: E402
from status import StatusReporter  # noqa: E402
from tsplib import gap_percent  # noqa: E402


class Run:
    """One search from the first tour to the answer."""

    def __init__(self, request: SolveRequest, status: StatusReporter) -> None:
        self.request = request
        self.status = status
        self.started = time.monotonic()
        distances = distance_matrix(request.instance.coordinates)
        tour = nearest_neighbour_tour(distances)
        self.search = LocalSearch(distances, tour, interrupt.requested)
        self.kicks = 0
        self.improvements = 0
        self.interrupted = False

    def improve_until_done(self) -> None:
        """Improves the tour until the budget, the optimum or an interrupt ends it."""
        random = Random(self.request.seed)
        search = self.search
        self.status.phase("solving")
        self.status.progress(0.0, self.quality())
        log(f"nearest-neighbour start: {self.quality()}")
        first_length = search.length
        search.improve(search.order[:])
        if search.length < first_length:
            self.improvements += 1
        reason = self.reason_to_stop()
        while reason is None:
            before = search.snapshot()
            search.improve(search.kick(random))
            self.kicks += 1
            if search.length < before[2]:
                self.improvements += 1
            elif search.length > before[2]:
                search.restore(before)
            if self.status.wants_progress():
                self.status.progress(self.used_budget(), self.quality())
            reason = self.reason_to_stop()
        self.status.progress(1.0, self.quality())
        log(f"{reason} after {self.kicks} kicks in {self.elapsed():.2f} s: {self.quality()}")

    def reason_to_stop(self) -> Optional[str]:
        """Why the search is over, or None while it should go on."""
        if self.request.stop_at_optimum and self.search.length == self.request.instance.optimum:
            return "optimum reached"
        if interrupt.requested():
            self.interrupted = True
            return "interrupted"
        if self.used_budget() >= 1.0 or self.elapsed() >= self.request.seconds:
            return "budget used up"
        return None

    def used_budget(self) -> float:
        """The part of the budget that is used; 1 or more means all of it."""
        if self.request.iterations is not None:
            return self.kicks / self.request.iterations
        return self.elapsed() / self.request.seconds

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def quality(self) -> str:
        """The tour's length and, where it is known, how far from the optimum that is."""
        gap = gap_percent(self.search.length, self.request.instance.optimum)
        if gap is None:
            return f"tour {self.search.length}"
        return f"tour {self.search.length}, {gap} % over the optimum"

    def answer(self) -> dict[str, Any]:
        """The answer as the README describes it."""
        instance = self.request.instance
        return {
            "instance": instance.name,
            "nodes": len(instance.coordinates),
            "tour": self.tour_from_node_one(),
            "length": self.search.length,
            "optimum": instance.optimum,
            "gap_percent": gap_percent(self.search.length, instance.optimum),
            "interrupted": self.interrupted,
            "seconds": round(self.elapsed(), 3),
            "improvements": self.improvements,
        }

    def tour_from_node_one(self) -> list[int]:
        """The tour in TSPLIB's numbering; it begins at node 1, so that tours can be compared."""
        order = self.search.order
        start = order.index(0)
        return [node + 1 for node in order[start:] + order[:start]]


def log(line: str) -> None:
    """Writes one log line; Tasklane keeps what comes on stderr as the task's log."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Reads the request, searches and answers."""
    status = StatusReporter(os.environ)
    try:
        request = solve_request(read_json_object())
    except RequestError as error:
        refuse(error)
    name = request.instance.name or "given coordinates"
    log(f"{name}: {len(request.instance.coordinates)} nodes, seed {request.seed}")
    run = Run(request, status)
    run.improve_until_done()
    status.phase("running")
    print(json.dumps(run.answer()))


if __name__ == "__main__":
    main()
