"""Trains a small model, and tells how good it is. Only Python's own library is needed."""

import functools
import math
import random


@functools.lru_cache(maxsize=None)  # once in each interpreter, which lives on between trials
def points(seed, n):
    """Points of a square, of which those near the middle are of one kind; some are told wrong."""
    r = random.Random(seed)
    out = []
    for _ in range(n):
        x, y = r.uniform(-1, 1), r.uniform(-1, 1)
        inside = x * x + y * y < 0.4
        out.append(((1.0, x, y, x * x, y * y), inside ^ (r.random() < 0.05)))
    return out


def sigmoid(z):
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, z))))


def loss(weights, data):
    """The mean cross entropy, and the part of the points whose kind is found."""
    total, right = 0.0, 0
    for features, kind in data:
        p = sigmoid(sum(w * f for w, f in zip(weights, features)))
        total -= math.log(max(p if kind else 1 - p, 1e-12))
        right += (p > 0.5) == kind
    return total / len(data), right / len(data)


def run(trial):
    """Trains by stochastic gradient descent with momentum: trial has Rate, Momentum, Decay, Epochs."""
    train, unseen = points(1, 400), points(2, 400)
    weights, speed = [0.0] * 5, [0.0] * 5
    for _ in range(trial["Epochs"]):
        for features, kind in train:
            error = sigmoid(sum(w * f for w, f in zip(weights, features))) - kind
            for i, f in enumerate(features):
                speed[i] = trial["Momentum"] * speed[i] - trial["Rate"] * (error * f + trial["Decay"] * weights[i])
                weights[i] += speed[i]
    found, accuracy = loss(weights, unseen)
    return {"Number": trial["Number"], "Loss": found, "Accuracy": accuracy}
