"""The model: a multinomial logistic regression over scaled measures, in the standard library alone."""

import json
import math
import os

FOLDER = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(FOLDER, "model.json")
MEASURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


class Model:
    """What `train.py` has found out; `score.py` only reads it."""

    def __init__(self, species, means, deviations, weights):
        self.species, self.means, self.deviations, self.weights = species, means, deviations, weights

    @staticmethod
    def load(file=FILE):
        with open(file, encoding="utf-8") as source:
            return Model(**json.load(source))

    def save(self, file=FILE):
        with open(file, "w", encoding="utf-8") as sink:
            json.dump(vars(self), sink, indent=1)
            sink.write("\n")

    def probabilities(self, measures):
        """How likely each species is, in the order of `species`."""
        scaled = [1.0] + [(m - mean) / dev for m, mean, dev in zip(measures, self.means, self.deviations)]
        scores = [sum(w * x for w, x in zip(row, scaled)) for row in self.weights]
        top = max(scores)
        powers = [math.exp(score - top) for score in scores]
        return [power / sum(powers) for power in powers]

    def predict(self, measures):
        """The likeliest species, and how likely it is to four places."""
        found = self.probabilities(measures)
        best = max(range(len(found)), key=found.__getitem__)
        return self.species[best], round(found[best], 4)
