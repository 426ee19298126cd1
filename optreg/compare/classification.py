"""Tasks that classify real data: the digits and the tumours that scikit-learn ships.

The data are split once, the same for every seed: 60 % to train on, 20 % to choose learning rates by, 20 %
to test.
A seed decides the initial weights and the order of the batches.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs
import numpy as np

from optreg.arrays import Array, array_module, moved_beside
from optreg.compare.extras import needed
from optreg.compare.task import Measure, Parameters, Task

Batch: TypeAlias = tuple[Array, Array]
"""Rows of inputs, and the class of each."""


@attrs.frozen(eq=False)
class Split:
    """Three parts of a data set, standardized by the mean and deviation of the first."""

    training: Batch
    validation: Batch
    test: Batch

    @classmethod
    def of(cls, dataset: str, dtype: str) -> Split:
        """Load a data set of scikit-learn and split it, each class in proportion."""
        data = getattr(needed("sklearn.datasets"), f"load_{dataset}")()
        split = needed("sklearn.model_selection").train_test_split
        rows, rest, labels, labels_of_rest = split(
            data.data, data.target, train_size=0.6, stratify=data.target, random_state=0
        )
        center, scale = rows.mean(axis=0), rows.std(axis=0)
        scale[scale == 0] = 1  # Pixels in the corners that are never inked.

        def prepared(inputs: Array, classes: Array) -> Batch:
            return ((inputs - center) / scale).astype(dtype), classes.astype(np.intp)

        held, tested, labels_of_held, labels_of_tested = split(
            rest, labels_of_rest, train_size=0.5, stratify=labels_of_rest, random_state=0
        )
        return cls(prepared(rows, labels), prepared(held, labels_of_held), prepared(tested, labels_of_tested))


def softmax_cross_entropy(scores: Array, labels: Array) -> tuple[Array, Array]:
    """The mean cross-entropy of each row's softmax with its label, and the gradient by ``scores``."""
    xp = array_module(scores)
    rows = xp.arange(len(labels))
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    gradient = xp.exp(log_probabilities)
    gradient[rows, labels] -= 1
    return -log_probabilities[rows, labels].mean(), gradient / len(labels)


def logistic_loss(scores: Array, labels: Array) -> tuple[Array, Array]:
    """The mean cross-entropy of each score's sigmoid with its label (0 or 1), and the gradient."""
    xp = array_module(scores)
    signs = (1 - 2 * labels).astype(scores.dtype)
    losses = xp.logaddexp(0, signs * scores)
    return losses.mean(), signs * xp.exp(signs * scores - losses) / len(labels)


class Classification(Task):
    """Train on a part of the data, choose learning rates by another, compare by accuracy on the third."""

    metric = Measure("test accuracy", higher_is_better=True)
    loss = Measure("training loss")
    selection = (Measure("validation accuracy", higher_is_better=True), Measure("validation loss"))
    seeds = 3
    batch_size = 32
    evaluations = 200

    split: Split

    @abstractmethod
    def scores(self, parameters: Parameters, inputs: Array) -> Array:
        """What the model says of each row of inputs."""

    def loss_of(self, scores: Array, labels: Array) -> tuple[Array, Array]:
        """The mean loss of the scores, and the gradient by them."""
        return softmax_cross_entropy(scores, labels)

    def classes(self, scores: Array) -> Array:
        """The class that the scores speak for."""
        return scores.argmax(axis=1)

    def batches(self, seed: int, batch_size: int | None) -> Iterator[Batch]:
        """The training data in a new order each epoch; the last batch of an epoch may be smaller."""
        inputs, labels = self.split.training
        size = batch_size or len(labels)
        random = np.random.default_rng([seed, 1])
        while True:
            order = random.permutation(len(labels))
            for first in range(0, len(labels), size):
                chosen = order[first : first + size]
                yield inputs[chosen], labels[chosen]

    def epoch_length(self, batch_size: int | None) -> int:
        """How many batches hold all training data."""
        examples = len(self.split.training[1])
        return -(-examples // (batch_size or examples))

    def measure(self, parameters: Parameters) -> dict[str, float]:
        """Loss and accuracy on each part of the data."""
        measures = {}
        for part in ("training", "validation", "test"):
            inputs, labels = beside(parameters, getattr(self.split, part))
            scores = self.scores(parameters, inputs)
            measures[f"{part} loss"] = float(self.loss_of(scores, labels)[0])
            measures[f"{part} accuracy"] = float((self.classes(scores) == labels).mean())
        return measures


def beside(parameters: Parameters, batch: Batch) -> Batch:
    """The batch on the parameters' device."""
    weights = parameters
    while isinstance(weights, dict):
        weights = next(iter(weights.values()))
    return moved_beside(batch[0], weights), moved_beside(batch[1], weights)


class Linear(Classification):
    """One layer: scores = inputs W + b, starting from zeros."""

    def initial_parameters(self, seed: int) -> Parameters:  # noqa: ARG002
        """Zeros: the loss is convex, so a seed decides the order of the batches only."""
        inputs, labels = self.split.training
        outputs = int(labels.max()) + 1
        return {
            "W": np.zeros((inputs.shape[1], outputs), inputs.dtype),
            "b": np.zeros(outputs, inputs.dtype),
        }

    def scores(self, parameters: Parameters, inputs: Array) -> Array:
        """One column of scores a class."""
        return inputs @ parameters["W"] + parameters["b"]

    def loss_and_gradients(self, parameters: Parameters, batch: Any) -> tuple[float, Parameters]:
        """The mean loss of the batch, and its gradients."""
        inputs, labels = beside(parameters, batch)
        loss, by_scores = self.loss_of(self.scores(parameters, inputs), labels)
        return float(loss), {"W": inputs.T @ by_scores, "b": by_scores.sum(axis=0)}


class DigitsSoftmax(Linear):
    """Softmax regression on 8 × 8 handwritten digits."""

    target = 0.93
    steps = 2000

    def __init__(self, dtype: str = "float32") -> None:
        self.split = Split.of("digits", dtype)


class BreastCancer(Linear):
    """Logistic regression on 30 measurements of cell nuclei: benign or malignant."""

    target = 0.97
    steps = 2000

    def __init__(self, dtype: str = "float32") -> None:
        self.split = Split.of("breast_cancer", dtype)

    def initial_parameters(self, seed: int) -> Parameters:  # noqa: ARG002
        """Zeros, for one score a row."""
        inputs, _ = self.split.training
        return {"W": np.zeros(inputs.shape[1], inputs.dtype), "b": np.zeros((), inputs.dtype)}

    def loss_of(self, scores: Array, labels: Array) -> tuple[Array, Array]:
        """The mean logistic loss, and the gradient by the scores."""
        return logistic_loss(scores, labels)

    def classes(self, scores: Array) -> Array:
        """Class 1 where the score is positive."""
        return scores > 0


class Digits(Classification):
    """A neural network with one hidden layer of 64 rectified units, on 8 × 8 handwritten digits."""

    target = 0.95
    steps = 2000
    hidden = 64

    def __init__(self, dtype: str = "float32") -> None:
        self.split = Split.of("digits", dtype)

    def initial_parameters(self, seed: int) -> Parameters:
        """Normal weights that keep the variance through the layers (He et al. 2015), zero biases."""
        random = np.random.default_rng([seed, 0])
        inputs, labels = self.split.training

        def layer(rows: int, columns: int) -> Parameters:
            weights = random.normal(scale=np.sqrt(2 / rows), size=(rows, columns))
            return {"W": weights.astype(inputs.dtype), "b": np.zeros(columns, inputs.dtype)}

        return {
            "l1": layer(inputs.shape[1], self.hidden),
            "l2": layer(self.hidden, int(labels.max()) + 1),
        }

    def hidden_units(self, parameters: Parameters, inputs: Array) -> Array:
        """What the hidden layer makes of the inputs."""
        return array_module(inputs).maximum(inputs @ parameters["l1"]["W"] + parameters["l1"]["b"], 0)

    def scores(self, parameters: Parameters, inputs: Array) -> Array:
        """One column of scores a class."""
        return self.hidden_units(parameters, inputs) @ parameters["l2"]["W"] + parameters["l2"]["b"]

    def loss_and_gradients(self, parameters: Parameters, batch: Any) -> tuple[float, Parameters]:
        """The mean loss of the batch, and its gradients."""
        inputs, labels = beside(parameters, batch)
        hidden = self.hidden_units(parameters, inputs)
        scores = hidden @ parameters["l2"]["W"] + parameters["l2"]["b"]
        loss, by_scores = self.loss_of(scores, labels)
        by_hidden = (by_scores @ parameters["l2"]["W"].T) * (hidden > 0)
        return float(loss), {
            "l1": {"W": inputs.T @ by_hidden, "b": by_hidden.sum(axis=0)},
            "l2": {"W": hidden.T @ by_scores, "b": by_scores.sum(axis=0)},
        }
