"""Trains the model on data/iris.csv and says how well it does on flowers that it has not seen.

    python3 train.py             writes model.json and prints the share that is right
    python3 train.py --predict   prints what the model takes each flower of data/iris.csv for, a line each
"""

import csv
import json
import math
import os
import sys

from model import FILE, FOLDER, MEASURES, Model

STEPS = 1500
RATE = 0.5
DECAY = 0.001
# Every fifth flower is kept for the examination.
KEPT = 5


def flowers():
    """Measures and species of each flower."""
    with open(os.path.join(FOLDER, "data", "iris.csv"), encoding="utf-8", newline="") as source:
        return [([float(row[measure]) for measure in MEASURES], row["species"]) for row in csv.DictReader(source)]


def train(known):
    """Gradient descent on the whole of what is known; the same input gives the same model."""
    species = sorted({name for _, name in known})
    columns = list(zip(*(measures for measures, _ in known)))
    means = [sum(column) / len(column) for column in columns]
    deviations = [
        math.sqrt(sum((value - mean) ** 2 for value in column) / len(column)) for column, mean in zip(columns, means)
    ]
    model = Model(species, means, deviations, [[0.0] * (len(MEASURES) + 1) for _ in species])
    scaled = [[1.0] + [(m - mean) / dev for m, mean, dev in zip(row, means, deviations)] for row, _ in known]
    wanted = [species.index(name) for _, name in known]
    for _ in range(STEPS):
        slopes = [[DECAY * weight for weight in row] for row in model.weights]
        for (measures, _), inputs, right in zip(known, scaled, wanted):
            for index, probability in enumerate(model.probabilities(measures)):
                error = (probability - (index == right)) / len(known)
                for place, value in enumerate(inputs):
                    slopes[index][place] += error * value
        for row, slope in zip(model.weights, slopes):
            for place, value in enumerate(slope):
                row[place] -= RATE * value
    model.weights = [[round(weight, 6) for weight in row] for row in model.weights]
    return model


def main():
    everything = flowers()
    if sys.argv[1:] == ["--predict"]:
        model = Model.load()
        for measures, _ in everything:
            species, probability = model.predict(measures)
            print(json.dumps({"species": species, "probability": probability}))
        return
    model = train([flower for index, flower in enumerate(everything) if index % KEPT])
    model.save(FILE)
    unseen = everything[::KEPT]
    right = sum(model.predict(measures)[0] == name for measures, name in unseen)
    print(f"{right} of {len(unseen)} flowers that it had not seen are right ({right / len(unseen):.1%})")


if __name__ == "__main__":
    main()
