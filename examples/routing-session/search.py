"""The local search: a first tour, and an iterated search that makes it shorter.

A tour is improved by 2-opt moves (turn a stretch round) and Or-opt moves (put
one to three nodes elsewhere) until neither helps. Then a small kick disturbs
one place, the search repairs it, and the result is kept unless it is longer.
Nodes are numbered from 0 here.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from random import Random
from typing import Callable

from tsplib import Coordinates, distance

# Longer lists find little more and make every look at a node dearer.
NEIGHBOURS_PER_NODE = 10
LONGEST_MOVED_SEGMENT = 3
# A kick that stays local leaves most of the tour in order, so that the repair is quick.
LONGEST_KICKED_SEGMENT = 30
# With fewer nodes a kick cannot cut out three segments and leave a rest.
SMALLEST_KICKED_TOUR = 8

DistanceMatrix = list[list[int]]


def distance_matrix(coordinates: Coordinates) -> DistanceMatrix:
    """Every distance at once: a look-up is several times cheaper than a square root."""
    size = len(coordinates)
    matrix = [[0] * size for _ in range(size)]
    for one in range(size):
        row = matrix[one]
        for other in range(one):
            row[other] = matrix[other][one] = distance(coordinates[one], coordinates[other])
    return matrix


def nearest_neighbours(distances: DistanceMatrix) -> list[list[int]]:
    """For each node the nearest others, nearest first."""
    lists = []
    for node, row in enumerate(distances):
        by_distance = sorted(range(len(row)), key=row.__getitem__)
        # Only the first ones are looked at: removing the node from all of them would be slow.
        nearest = by_distance[: NEIGHBOURS_PER_NODE + 1]
        lists.append([other for other in nearest if other != node][:NEIGHBOURS_PER_NODE])
    return lists


def nearest_neighbour_tour(distances: DistanceMatrix) -> list[int]:
    """The first tour: from node 0 always on to the nearest node not yet visited."""
    tour = [0]
    unvisited = set(range(1, len(distances)))
    while unvisited:
        row = distances[tour[-1]]
        # The node number breaks ties, so that the same input gives the same tour.
        nearest = min(unvisited, key=lambda node: (row[node], node))
        unvisited.remove(nearest)
        tour.append(nearest)
    return tour


class LocalSearch:
    """A tour that is being improved: after every move it is a valid tour again."""

    def __init__(
        self,
        distances: DistanceMatrix,
        tour: Sequence[int],
        interrupted: Callable[[], bool],
    ) -> None:
        self.distances = distances
        self.neighbours = nearest_neighbours(distances)
        self.interrupted = interrupted
        self.order = list(tour)
        # The place of each node in `order`, kept in step with it.
        self.position = [0] * len(self.order)
        self._renumber(0, len(self.order))
        self.length = self._path_length(self.order[-1], self.order[:-1], self.order[-1])

    def improve(self, nodes: Iterable[int]) -> None:
        """Applies improving moves around the given nodes until none is left.

        Only nodes whose surroundings have changed are looked at again. An
        interrupt ends the work between two moves.
        """
        queue = deque(nodes)
        queued = set(queue)
        while queue and not self.interrupted():
            node = queue.popleft()
            queued.discard(node)
            touched = self._two_opt(node) or self._or_opt(node)
            for changed in touched:
                if changed not in queued:
                    queued.add(changed)
                    queue.append(changed)

    def kick(self, random: Random) -> list[int]:
        """Disturbs the tour at a random place; returns the nodes to improve from.

        It swaps the outer two of three neighbouring segments (a double
        bridge), which 2-opt and Or-opt moves cannot simply take back.
        """
        order, size = self.order, len(self.order)
        if size < SMALLEST_KICKED_TOUR:
            random.shuffle(order)
            self._renumber(0, size)
            self.length = self._path_length(order[-1], order[:-1], order[-1])
            return order[:]
        longest = min(LONGEST_KICKED_SEGMENT, (size - 1) // 3)
        first, middle, last = (random.randint(1, longest) for _ in range(3))
        start = random.randrange(size)
        total = first + middle + last
        window = [order[(start + offset) % size] for offset in range(total)]
        swapped = window[first + middle :] + window[first : first + middle] + window[:first]
        before = order[start - 1]
        after = order[(start + total) % size]
        self.length += self._path_length(before, swapped, after)
        self.length -= self._path_length(before, window, after)
        for offset, node in enumerate(swapped):
            place = (start + offset) % size
            order[place] = node
            self.position[node] = place
        ends = (0, last - 1, last, last + middle - 1, last + middle, total - 1)
        return [before, *(swapped[end] for end in ends), after]

    def snapshot(self) -> tuple[list[int], list[int], int]:
        """The tour as it is, for `restore`."""
        return self.order[:], self.position[:], self.length

    def restore(self, snapshot: tuple[list[int], list[int], int]) -> None:
        """Takes back everything since the snapshot, which must not be used again."""
        self.order, self.position, self.length = snapshot

    def _two_opt(self, node: int) -> tuple[int, ...]:
        """Makes the first improving 2-opt move at the node; returns the nodes it touched."""
        order, position, distances = self.order, self.position, self.distances
        size = len(order)
        row = distances[node]
        here = position[node]
        for forward in (True, False):
            # A negative index counts from the end, which closes the tour without a modulo.
            next_node = order[here + 1 - size] if forward else order[here - 1]
            next_distance = row[next_node]
            for other in self.neighbours[node]:
                gain = next_distance - row[other]
                if gain <= 0:
                    break
                there = position[other]
                next_other = order[there + 1 - size] if forward else order[there - 1]
                gain += distances[other][next_other] - distances[next_node][next_other]
                if gain > 0:
                    if forward:
                        self._reverse(here + 1, there)
                    else:
                        self._reverse(there, here - 1)
                    self.length -= gain
                    return node, next_node, other, next_other
        return ()

    def _or_opt(self, node: int) -> tuple[int, ...]:
        """Makes the first improving Or-opt move of a segment that begins at the node."""
        order, position, distances = self.order, self.position, self.distances
        size = len(order)
        row = distances[node]
        here = position[node]
        # A segment of one node is the same in both directions: it is tried in one only.
        for step, shortest in ((1, 1), (-1, 2)):
            before = order[(here - step) % size]
            for count in range(shortest, min(LONGEST_MOVED_SEGMENT, size - 3) + 1):
                end = order[(here + step * (count - 1)) % size]
                after = order[(here + step * count) % size]
                end_row = distances[end]
                saved = row[before] + end_row[after] - distances[before][after]
                for other in self.neighbours[node]:
                    if row[other] >= saved:
                        break
                    there = position[other]
                    if (there - here) * step % size < count:
                        continue
                    other_row = distances[other]
                    for beside in (order[there + 1 - size], order[there - 1]):
                        gain = saved - row[other] - end_row[beside] + other_row[beside]
                        if gain > 0 and beside != node and beside != end:
                            first = here if step == 1 else here - count + 1
                            self._move_segment(first % size, count, node, other, beside)
                            self.length -= gain
                            return before, node, end, after, other, beside
        return ()

    def _reverse(self, first: int, last: int) -> None:
        """Turns round the stretch from place `first` on to place `last`.

        Turning round the rest of the tour instead gives the same closed tour,
        so the shorter of the two is done.
        """
        order, position, size = self.order, self.position, len(self.order)
        count = (last - first) % size + 1
        if 2 * count > size:
            first, last, count = last + 1, first - 1, size - count
        first %= size
        last %= size
        if first <= last:
            order[first : last + 1] = order[first : last + 1][::-1]
            self._renumber(first, last + 1)
            return
        for _ in range(count // 2):
            order[first], order[last] = order[last], order[first]
            position[order[first]] = first
            position[order[last]] = last
            first = (first + 1) % size
            last = (last - 1) % size

    def _move_segment(self, first: int, count: int, node: int, other: int, beside: int) -> None:
        """Puts `count` nodes between two adjacent others, `node` next to `other`.

        `node` is one end of the segment that begins at place `first`.
        """
        order, size = self.order, len(self.order)
        if first + count > size:
            # The segment lies across the end of the list: begin the list with it.
            self.order = order = order[first:] + order[:first]
            self._renumber(0, size)
            first = 0
        segment = order[first : first + count]
        there = self.position[other]
        other_is_left = order[there + 1 - size] == beside
        left = there if other_is_left else self.position[beside]
        if (segment[0] == node) != other_is_left:
            segment.reverse()
        del order[first : first + count]
        if left > first:
            left -= count
        order[left + 1 : left + 1] = segment
        self._renumber(min(first, left + 1), max(first, left + 1) + count)

    def _renumber(self, first: int, end: int) -> None:
        """Brings the positions of the nodes at the places first..end-1 up to date."""
        position = self.position
        for place, node in enumerate(self.order[first:end], first):
            position[node] = place

    def _path_length(self, before: int, path: Sequence[int], after: int) -> int:
        """Length of the way from `before` through the path to `after`."""
        total = 0
        for node in path:
            total += self.distances[before][node]
            before = node
        return total + self.distances[before][after]
