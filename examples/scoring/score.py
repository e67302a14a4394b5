"""The stream filter: a flower a line in, its species a line out. What is no flower is answered with what is wrong."""

import json
import sys

from model import MEASURES, Model


def answer(model, line):
    """The answer to one line, with the `id` of the record if it has one."""
    try:
        record = json.loads(line)
        measures = [float(record[measure]) for measure in MEASURES]
    except (ValueError, TypeError, KeyError) as error:
        return {"error": f"{type(error).__name__}: {error}; a record has the numbers {', '.join(MEASURES)}"}
    species, probability = model.predict(measures)
    known = {"id": record["id"]} if "id" in record else {}
    return {**known, "species": species, "probability": probability}


def main():
    model = Model.load()
    for line in sys.stdin:
        print(json.dumps(answer(model, line)), flush=True)


if __name__ == "__main__":
    main()
