"""Reads TSPLIB files: two-dimensional Euclidean instances and their known optimal tours.

Distances are rounded as TSPLIB prescribes, because published optima hold for
that rounding only.
"""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import NamedTuple, Optional

DATA_FOLDER = Path(__file__).resolve().parent / "data"

Coordinates = Sequence[tuple[float, float]]


class TsplibError(Exception):
    """A file is not a TSPLIB file that this example can read."""


class Instance(NamedTuple):
    """A problem to solve.

    `name` is None for coordinates that came with the request, `optimum` where
    no optimal tour is known.
    """

    name: Optional[str]
    coordinates: Coordinates
    optimum: Optional[int]


def known_instances(folder: Path = DATA_FOLDER) -> list[str]:
    """Names of the instances in the folder: one for each file NAME.tsp."""
    return sorted(path.stem for path in folder.glob("*.tsp"))


def load_instance(name: str, folder: Path = DATA_FOLDER) -> Instance:
    """Reads NAME.tsp, and its optimum from NAME.opt.tour where that file exists."""
    coordinates = read_coordinates(folder / f"{name}.tsp")
    optimal_tour_file = folder / f"{name}.opt.tour"
    optimum = None
    if optimal_tour_file.exists():
        optimal_tour = read_tour(optimal_tour_file)
        if not is_tour(optimal_tour, len(coordinates)):
            raise TsplibError(f"{optimal_tour_file.name} does not visit every node of {name} once")
        optimum = tour_length(coordinates, optimal_tour)
    return Instance(name, coordinates, optimum)


def read_coordinates(path: Path) -> Coordinates:
    """Reads the node coordinates of a .tsp file; node 1 comes first."""
    header, rows = _read_sections(path, "NODE_COORD_SECTION")
    if header.get("EDGE_WEIGHT_TYPE") != "EUC_2D":
        raise TsplibError(f"{path.name}: only EDGE_WEIGHT_TYPE EUC_2D can be read")
    coordinates = []
    for expected_node, row in enumerate(rows, start=1):
        try:
            node, x, y = row.split()
            if int(node) != expected_node:
                raise ValueError("nodes are out of order")
            coordinates.append((float(x), float(y)))
        except ValueError as error:
            raise TsplibError(f"{path.name}: cannot read node {expected_node}: {error}") from error
    if header.get("DIMENSION") != str(len(coordinates)):
        raise TsplibError(f"{path.name}: DIMENSION does not match its {len(coordinates)} nodes")
    return coordinates


def read_tour(path: Path) -> list[int]:
    """Reads a .tour file as node numbers that begin at 1."""
    _, rows = _read_sections(path, "TOUR_SECTION")
    try:
        numbers = [int(word) for row in rows for word in row.split()]
    except ValueError as error:
        raise TsplibError(f"{path.name}: cannot read the tour: {error}") from error
    # A tour ends with -1, which is not a node.
    return numbers[: numbers.index(-1)] if -1 in numbers else numbers


def distance(one: tuple[float, float], other: tuple[float, float]) -> int:
    """The TSPLIB distance EUC_2D: Euclidean, rounded to the nearest whole number."""
    x = one[0] - other[0]
    y = one[1] - other[1]
    return int(sqrt(x * x + y * y) + 0.5)


def tour_length(coordinates: Coordinates, tour: Sequence[int]) -> int:
    """Length of the closed tour, given as node numbers that begin at 1."""
    return sum(
        distance(coordinates[tour[index - 1] - 1], coordinates[node - 1])
        for index, node in enumerate(tour)
    )


def is_tour(tour: Sequence[int], nodes: int) -> bool:
    """Whether the tour visits each of the nodes 1..nodes exactly once."""
    return sorted(tour) == list(range(1, nodes + 1))


def gap_percent(length: int, optimum: Optional[int]) -> Optional[float]:
    """How far a length is over the optimum, in per cent; None where there is no optimum."""
    if not optimum:
        return None
    return round(100.0 * (length - optimum) / optimum, 2)


def _read_sections(path: Path, section: str) -> tuple[dict[str, str], list[str]]:
    """Splits a file into its header fields and the rows of the one section asked for."""
    header: dict[str, str] = {}
    rows: list[str] = []
    in_section = False
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        text = line.strip()
        if text == "EOF":
            break
        if in_section:
            if text:
                rows.append(text)
        elif text == section:
            in_section = True
        else:
            # Some files of the library write "NAME : x" and others "NAME: x".
            key, _, value = text.partition(":")
            header[key.strip()] = value.strip()
    if not in_section:
        raise TsplibError(f"{path.name} has no {section}")
    return header, rows
