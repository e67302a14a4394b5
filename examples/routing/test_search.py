"""Tests of the committed data and of the search itself, without a process."""

import unittest
from itertools import count, permutations
from random import Random

from search import LocalSearch, distance_matrix, nearest_neighbour_tour
from tsplib import (
    DATA_FOLDER,
    gap_percent,
    is_tour,
    known_instances,
    load_instance,
    read_tour,
    tour_length,
)

# The optima as TSPLIB publishes them, not as computed from our files.
PUBLISHED = {"berlin52": (52, 7542), "pcb442": (442, 50778)}


# Far above what the largest of these searches needs.
MOST_LOOKS = 5_000_000
looks_at_nodes = count()


def never_interrupted() -> bool:
    """Lets a search run to its end, and fails the test where it has none."""
    if next(looks_at_nodes) > MOST_LOOKS:
        raise AssertionError("the search does not end")
    return False


def random_coordinates(random: Random, nodes: int) -> list:
    """Points on a coarse grid, so that there are ties and several nodes at one place."""
    return [(random.randrange(40), random.randrange(40)) for _ in range(nodes)]


class CommittedData(unittest.TestCase):
    def test_every_instance_is_checked_here(self) -> None:
        self.assertEqual(known_instances(), sorted(PUBLISHED))

    def test_optimal_tours_have_the_published_lengths(self) -> None:
        for name, (nodes, optimum) in PUBLISHED.items():
            with self.subTest(name):
                instance = load_instance(name)
                tour = read_tour(DATA_FOLDER / f"{name}.opt.tour")
                self.assertEqual(len(instance.coordinates), nodes)
                self.assertTrue(is_tour(tour, nodes))
                self.assertEqual(tour_length(instance.coordinates, tour), optimum)
                self.assertEqual(instance.optimum, optimum)


class Search(unittest.TestCase):
    def assert_consistent(self, search: LocalSearch, coordinates: list) -> None:
        """The order is a tour, and positions and length fit it."""
        tour = [node + 1 for node in search.order]
        self.assertTrue(is_tour(tour, len(coordinates)))
        self.assertEqual(search.length, tour_length(coordinates, tour))
        self.assertEqual([search.position[node] for node in search.order], list(range(len(tour))))

    def test_every_step_keeps_tour_positions_and_length_in_step(self) -> None:
        for nodes in (3, 4, 5, 7, 8, 9, 13, 60):
            for seed in range(10):
                with self.subTest(nodes=nodes, seed=seed):
                    random = Random(seed)
                    coordinates = random_coordinates(random, nodes)
                    distances = distance_matrix(coordinates)
                    search = LocalSearch(distances, range(nodes), never_interrupted)
                    search.improve(range(nodes))
                    self.assert_consistent(search, coordinates)
                    for _ in range(20):
                        kicked = search.kick(random)
                        self.assert_consistent(search, coordinates)
                        kicked_length = search.length
                        search.improve(kicked)
                        self.assert_consistent(search, coordinates)
                        self.assertLessEqual(search.length, kicked_length)

    def test_small_instances_are_solved_to_the_optimum(self) -> None:
        for seed in range(8):
            with self.subTest(seed=seed):
                random = Random(seed)
                coordinates = random_coordinates(random, 7)
                optimum = min(
                    tour_length(coordinates, (1, *rest)) for rest in permutations(range(2, 8))
                )
                distances = distance_matrix(coordinates)
                tour = nearest_neighbour_tour(distances)
                search = LocalSearch(distances, tour, never_interrupted)
                best = search.length
                for _ in range(30):
                    search.improve(search.kick(random))
                    best = min(best, search.length)
                self.assertEqual(best, optimum)

    def test_one_descent_gets_near_the_optimum(self) -> None:
        instance = load_instance("pcb442")
        distances = distance_matrix(instance.coordinates)
        tour = nearest_neighbour_tour(distances)
        search = LocalSearch(distances, tour, never_interrupted)
        first_length = search.length
        search.improve(tour)
        self.assertGreater(gap_percent(first_length, instance.optimum), 10)
        self.assertLess(gap_percent(search.length, instance.optimum), 5)

    def test_restore_takes_a_kick_back(self) -> None:
        coordinates = random_coordinates(Random(1), 50)
        search = LocalSearch(distance_matrix(coordinates), range(50), never_interrupted)
        order, length = search.order[:], search.length
        before = search.snapshot()
        search.kick(Random(1))
        self.assertNotEqual(search.order, order)
        search.restore(before)
        self.assertEqual((search.order, search.length), (order, length))
        self.assert_consistent(search, coordinates)

    def test_an_interrupt_leaves_a_valid_tour_in_the_middle_of_a_descent(self) -> None:
        coordinates = random_coordinates(Random(1), 100)
        looks = iter(range(1000))
        search = LocalSearch(distance_matrix(coordinates), range(100), lambda: next(looks) >= 40)
        search.improve(range(100))
        self.assertEqual(next(looks), 41)
        self.assert_consistent(search, coordinates)


if __name__ == "__main__":
    unittest.main()
