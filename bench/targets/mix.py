# SPDX-License-Identifier: MIT
"""Dictionaries, lists, strings and JSON; run with PYTHONMALLOC=malloc."""
import json
import random

rng = random.Random(1)


def record(i):
    return {"id": i, "name": f"user{i}",
            "tags": [f"t{rng.randrange(50)}" for _ in range(6)],
            "pos": {"x": rng.random(), "y": rng.random()},
            "note": "x" * rng.randrange(80)}


def one_round():
    back = json.loads(json.dumps([record(i) for i in range(6000)]))
    by_tag = {}
    for r in back:
        for tag in r["tags"]:
            by_tag.setdefault(tag, []).append(
                (r["name"].upper(), r["pos"]["x"]))
    total = 0
    for tag in sorted(by_tag):
        by_tag[tag].sort(key=lambda pair: pair[1])
        total += sum(len(name) for name, _ in by_tag[tag])
    words = " ".join(r["note"] + r["name"] for r in back).split(" ")
    return total + len({word[::-1] for word in words})


print("mix:", sum(one_round() for _ in range(8)))
