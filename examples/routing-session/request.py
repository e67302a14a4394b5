"""Reads and checks the JSON request that comes as the body of a task.

Every mistake of the caller becomes a RequestError with a message that says
what to change. Tasklane shows that message as the task's error.
"""

import json
import math
import reprlib
from typing import Any, NamedTuple, Optional

from tsplib import Coordinates, Instance, TsplibError, known_instances, load_instance

MAX_REQUEST_BYTES = 1_000_000
MIN_NODES = 3
# The table of all distances must fit into the memory limit of app.toml.
MAX_NODES = 2_000
# Larger numbers would lose the precision that distances in whole numbers need.
MAX_COORDINATE = 1e9
# Nobody should hold the only process of the session for longer.
MAX_SECONDS = 540
MAX_ITERATIONS = 10_000_000
DEFAULT_SECONDS = 20.0
DEFAULT_SEED = 1

SOLVE_FIELDS = ("instance", "coordinates", "seconds", "iterations", "seed", "stop_at_optimum")


class RequestError(Exception):
    """The caller asked for something that cannot be done; the message says why."""


class SolveRequest(NamedTuple):
    """What to solve and for how long.

    `iterations` is the budget where it is given; `seconds` holds in any case,
    because an answer is worth more than a timeout.
    """

    instance: Instance
    seconds: float
    iterations: Optional[int]
    seed: int
    stop_at_optimum: bool


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in the body of a task."""
    if len(data) > MAX_REQUEST_BYTES:
        raise RequestError(f"the input is longer than {MAX_REQUEST_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the input is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RequestError('the input must be a JSON object such as {"instance": "berlin52"}')
    return value


def solve_request(fields: dict[str, Any]) -> SolveRequest:
    """Checks a request to solve and fills in what it leaves open."""
    unknown = sorted(set(fields) - set(SOLVE_FIELDS))
    if unknown:
        known = ", ".join(SOLVE_FIELDS)
        raise RequestError(f"unknown field {reprlib.repr(unknown[0])}; known are {known}")
    instance = instance_of(fields)
    seconds = _seconds(fields.get("seconds"))
    iterations = _whole_number(fields.get("iterations"), "iterations", 1, MAX_ITERATIONS)
    if seconds is not None and iterations is not None:
        raise RequestError("give seconds or iterations, not both")
    if seconds is None:
        seconds = DEFAULT_SECONDS if iterations is None else float(MAX_SECONDS)
    seed = _whole_number(fields.get("seed"), "seed", 0, 2**53)
    stop_at_optimum = fields.get("stop_at_optimum", True)
    if not isinstance(stop_at_optimum, bool):
        raise RequestError("stop_at_optimum must be true or false")
    return SolveRequest(
        instance=instance,
        seconds=seconds,
        iterations=iterations,
        seed=DEFAULT_SEED if seed is None else seed,
        stop_at_optimum=stop_at_optimum,
    )


def instance_of(fields: dict[str, Any]) -> Instance:
    """The instance that a request names, or the one whose coordinates it holds."""
    name, rows = fields.get("instance"), fields.get("coordinates")
    if (name is None) == (rows is None):
        raise RequestError("give either instance or coordinates")
    if rows is not None:
        return Instance(None, _coordinates(rows), None)
    known = known_instances()
    # Only a name in the list is ever made into a path.
    if name not in known:
        # The name may be of any length and kind, and the message goes into the task's record.
        shown = reprlib.repr(name)
        raise RequestError(f"unknown instance {shown}; known are {', '.join(known)}")
    try:
        instance = load_instance(name)
    except TsplibError as error:
        raise RequestError(str(error)) from error
    _check_node_count(len(instance.coordinates))
    return instance


def _coordinates(rows: Any) -> Coordinates:
    if not isinstance(rows, list):
        raise RequestError("coordinates must be a list of [x, y] pairs")
    _check_node_count(len(rows))
    for node, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != 2 or not all(map(_is_coordinate, row)):
            raise RequestError(
                f"coordinates of node {node} must be [x, y], two numbers up to {MAX_COORDINATE:.0e}"
            )
    return [(float(x), float(y)) for x, y in rows]


def _check_node_count(nodes: int) -> None:
    if nodes < MIN_NODES:
        raise RequestError(f"a tour needs at least {MIN_NODES} nodes, not {nodes}")
    if nodes > MAX_NODES:
        raise RequestError(f"too many nodes: {nodes}; at most {MAX_NODES} can be solved here")


def _seconds(value: Any) -> Optional[float]:
    if value is None:
        return None
    if not _is_number(value) or not 0 < value <= MAX_SECONDS:
        raise RequestError(f"seconds must be a number above 0 and at most {MAX_SECONDS}")
    return float(value)


def _whole_number(value: Any, field: str, smallest: int, largest: int) -> Optional[int]:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
        raise RequestError(f"{field} must be a whole number from {smallest} to {largest}")
    return value


def _is_coordinate(value: Any) -> bool:
    return _is_number(value) and abs(value) <= MAX_COORDINATE


def _is_number(value: Any) -> bool:
    # In Python true and false count as whole numbers; in JSON they do not.
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
