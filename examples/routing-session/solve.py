"""The service `solve`: finds a short tour through all nodes of an instance."""

import sys
import time
from random import Random
from typing import Any, Callable, Optional, Protocol

from request import SolveRequest, json_object, solve_request
from search import LocalSearch, distance_matrix, nearest_neighbour_tour
from tsplib import gap_percent

# A person cannot read faster.
SECONDS_BETWEEN_PROGRESS = 0.2


class Watcher(Protocol):
    """Who is told how a run goes, and says whether it is to end early."""

    def interrupted(self) -> bool: ...

    def state(self, word: str) -> None: ...

    def progress(self, fraction: float, message: str) -> None: ...


class Run:
    """One search from the first tour to the answer."""

    def __init__(self, request: SolveRequest, watcher: Watcher) -> None:
        self.request = request
        self.watcher = watcher
        self.started = time.monotonic()
        self.next_progress = 0.0
        distances = distance_matrix(request.instance.coordinates)
        tour = nearest_neighbour_tour(distances)
        self.search = LocalSearch(distances, tour, watcher.interrupted)
        self.kicks = 0
        self.improvements = 0
        self.was_interrupted = False

    def improve_until_done(self) -> None:
        """Improves the tour until the budget, the optimum or an interrupt ends it."""
        random = Random(self.request.seed)
        search = self.search
        self.watcher.state("solving")
        first_length = search.length
        search.improve(search.order[:])
        self.improvements += search.length < first_length
        while (reason := self.reason_to_stop()) is None:
            before = search.snapshot()
            search.improve(search.kick(random))
            self.kicks += 1
            if search.length < before[2]:
                self.improvements += 1
            elif search.length > before[2]:
                search.restore(before)
            self.report()
        self.watcher.state("running")
        log(f"{reason} after {self.kicks} kicks in {self.elapsed():.2f} s: {self.quality()}")

    def report(self) -> None:
        """Tells from time to time how far the search is."""
        if time.monotonic() >= self.next_progress:
            self.next_progress = time.monotonic() + SECONDS_BETWEEN_PROGRESS
            self.watcher.progress(min(self.used_budget(), 1.0), self.quality())

    def reason_to_stop(self) -> Optional[str]:
        """Why the search is over, or None while it should go on."""
        if self.request.stop_at_optimum and self.search.length == self.request.instance.optimum:
            return "optimum reached"
        if self.watcher.interrupted():
            self.was_interrupted = True
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
        """The answer, as that of the app `routing`."""
        instance = self.request.instance
        order = self.search.order
        start = order.index(0)
        return {
            "instance": instance.name,
            "nodes": len(instance.coordinates),
            # In TSPLIB's numbering, and from node 1 on, so that tours can be compared.
            "tour": [node + 1 for node in order[start:] + order[:start]],
            "length": self.search.length,
            "optimum": instance.optimum,
            "gap_percent": gap_percent(self.search.length, instance.optimum),
            "interrupted": self.was_interrupted,
            "seconds": round(self.elapsed(), 3),
            "improvements": self.improvements,
        }


def log(line: str) -> None:
    """Writes one log line; Tasklane gives it to the task that runs at that moment."""
    print(line, file=sys.stderr, flush=True)


def solve(body: bytes, watcher: Watcher) -> dict[str, Any]:
    """Reads the request, searches and answers; a RequestError says what is wrong with the request."""
    request = solve_request(json_object(body))
    name = request.instance.name or "given coordinates"
    log(f"{name}: {len(request.instance.coordinates)} nodes, seed {request.seed}")
    run = Run(request, watcher)
    run.improve_until_done()
    return run.answer()


SERVICES: dict[str, Callable[[bytes, Watcher], dict[str, Any]]] = {"solve": solve}
