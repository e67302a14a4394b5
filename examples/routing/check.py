"""The service `check`: says whether a tour is valid and how long it is.

It measures the tour anew from the coordinates, so it can check what `solve`
answered: `python3 solve.py | python3 check.py`.
"""

import json
from typing import Any, Optional

from request import RequestError, instance_of, read_json_object, refuse
from tsplib import gap_percent, is_tour, tour_length


def check(fields: dict[str, Any]) -> dict[str, Any]:
    """Checks the tour of a request that looks like an answer of `solve`."""
    instance = instance_of(fields)
    tour = fields.get("tour")
    if not isinstance(tour, list) or not all(type(node) is int for node in tour):
        raise RequestError("tour must be a list of node numbers, which begin at 1")
    nodes = len(instance.coordinates)
    problem = first_problem(tour, nodes)
    length = tour_length(instance.coordinates, tour) if problem is None else None
    claimed = fields.get("length")
    if problem is None and claimed is not None and claimed != length:
        problem = f"the length is {length}, not {json.dumps(claimed)}"
    return {
        "instance": instance.name,
        "nodes": nodes,
        "valid": problem is None,
        "problem": problem,
        "length": length,
        "optimum": instance.optimum,
        "gap_percent": None if length is None else gap_percent(length, instance.optimum),
    }


def first_problem(tour: list[int], nodes: int) -> Optional[str]:
    """What keeps the list from being a tour, or None where it is one."""
    if is_tour(tour, nodes):
        return None
    seen = set()
    for node in tour:
        if not 1 <= node <= nodes:
            return f"there is no node {node}; nodes go from 1 to {nodes}"
        if node in seen:
            return f"node {node} is visited twice"
        seen.add(node)
    missing = min(set(range(1, nodes + 1)) - seen)
    return f"node {missing} is not visited"


def main() -> None:
    """Reads the request and answers."""
    try:
        answer = check(read_json_object())
    except RequestError as error:
        refuse(error)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
