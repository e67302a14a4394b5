"""What `score.py` answers is what `train.py` says, and the committed model is the one that training gives."""

import json
import subprocess
import sys
import unittest

import train
from model import FOLDER, MEASURES, Model


def score(lines):
    """The answers of a process to these lines."""
    done = subprocess.run(
        [sys.executable, "-B", "score.py"],
        cwd=FOLDER, input="".join(line + "\n" for line in lines), capture_output=True, text=True, check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


class Scoring(unittest.TestCase):
    def test_training_gives_the_committed_model(self):
        known = [flower for index, flower in enumerate(train.flowers()) if index % train.KEPT]
        found, committed = train.train(known), Model.load()
        self.assertEqual(found.species, committed.species)
        for row, expected in zip(found.weights, committed.weights):
            for weight, wanted in zip(row, expected):
                self.assertAlmostEqual(weight, wanted, places=4)

    def test_it_knows_most_flowers_that_it_has_not_seen(self):
        model, unseen = Model.load(), train.flowers()[:: train.KEPT]
        right = sum(model.predict(measures)[0] == name for measures, name in unseen)
        self.assertGreaterEqual(right, 28, f"of {len(unseen)}")

    def test_each_line_has_its_answer(self):
        flowers = train.flowers()
        lines = [
            json.dumps({"id": index, **dict(zip(MEASURES, measures))}) for index, (measures, _) in enumerate(flowers)
        ]
        model = Model.load()
        for index, found in enumerate(score(lines)):
            species, probability = model.predict(flowers[index][0])
            self.assertEqual(found, {"id": index, "species": species, "probability": probability})

    def test_what_is_no_flower_is_answered_too(self):
        for line in ["", "[]", "no JSON", "{}", '{"sepal_length": "long"}', "null"]:
            [found] = score([line])
            self.assertIn("error", found, line)


if __name__ == "__main__":
    unittest.main()
