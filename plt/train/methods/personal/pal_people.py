"""How people are placed among the prototypes of `pal`: margins by logits, for every geometry."""

from functools import partial

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from plt.train.method import FloatArray
from plt.train.methods.personal.pal_network import TINY, IdealPoints
from plt.train.methods.personal.placing import (
    Block,
    Curve,
    Logistic,
    Loss,
    Mixture,
    PaddedRows,
    each,
)

AT_THE_KINK = 1e-3
"""Least distance from a kink of the hinge that its bound is made for."""


class Hinge:
    """label (1 - m)+ + (1 - label) (1 + m)+; the curvature is that of a parabola above it.

    |v| <= v^2 / (2 c) + c / 2 with equality at c = |v|: steps of iteratively reweighted squares.
    """

    def value(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """As `Loss.value`."""
        over, under = np.maximum(1 - margin, 0), np.maximum(1 + margin, 0)
        return np.asarray(label * over + (1 - label) * under)

    def slope(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """As `Loss.slope`."""
        return np.asarray((1 - label) * (margin > -1) - label * (margin < 1))

    def curvature(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """As `Loss.curvature`."""
        over, under = (np.maximum(np.abs(1 + s * margin), AT_THE_KINK) for s in (-1, 1))
        return np.asarray(label / (2 * over) + (1 - label) / (2 * under))


class Towards:
    """Margins of unsquared distances and angles, which bend in the weights of the prototypes.

    Args:
        network: Maps and prototypes.
        points: Where T texts are, shape (T, D).
        anchors: The prototypes (K, D), or (T, K, D) as seen from each text's question.
        sign: -1 where distances are taken for preferences.
        rows: Whose margins are asked for.
    """

    def __init__(
        self,
        network: IdealPoints,
        points: FloatArray,
        anchors: FloatArray,
        sign: float,
        rows: PaddedRows,
    ) -> None:
        self.angle = network.shape.distance == "angle"
        self.size = sign * (float(network.temperature()) if self.angle else 1.0)
        self.a, self.b = points[rows.a], points[rows.b]
        own = anchors if anchors.ndim == 3 else np.broadcast_to(anchors, (1, *anchors.shape))
        self.anchors = own[rows.a if anchors.ndim == 3 else np.zeros_like(rows.a)]

    def margins(self, z: FloatArray) -> FloatArray:
        """As `Block.margins`."""
        ideal = self._ideal(softmax(z, axis=1))
        return self.size * (self._closeness(self.a, ideal)[0] - self._closeness(self.b, ideal)[0])

    def slopes(self, z: FloatArray) -> FloatArray:
        """As `Block.slopes`."""
        weights = softmax(z, axis=1)
        ideal = self._ideal(weights)
        by_ideal = self._closeness(self.a, ideal)[1] - self._closeness(self.b, ideal)[1]
        by_weight = self.size * (self.anchors @ by_ideal[:, :, :, None])[:, :, :, 0]
        return np.asarray(weights[:, None, :] * (by_weight - each(by_weight, weights)[:, :, None]))

    def bend(self, z: FloatArray, pull: FloatArray) -> FloatArray | None:
        """As `Block.bend`."""
        return None

    def _ideal(self, weights: FloatArray) -> FloatArray:
        return np.asarray((weights[:, None, None, :] @ self.anchors)[:, :, 0])

    def _closeness(self, point: FloatArray, ideal: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Closeness (U, n) of points to ideals (U, n, D), and its derivative by the ideal."""
        if not self.angle:
            away = point - ideal
            distance = np.sqrt((away**2).sum(axis=2) + TINY)
            return -distance, away / distance[:, :, None]
        # As torch's cosine, which divides by no length below 1e-8.
        to_point, to_ideal = (
            np.maximum(np.sqrt((v**2).sum(axis=2)), 1e-8)[:, :, None] for v in (point, ideal)
        )
        cosine = (point * ideal).sum(axis=2, keepdims=True) / (to_point * to_ideal)
        return cosine[:, :, 0], (point / to_point - cosine * ideal / to_ideal) / to_ideal


def curve_of(network: IdealPoints, phi: Tensor) -> Curve:
    """Margins of judgements of the texts `phi` by the logits of whoever judges."""
    sign = -1.0 if network.shape.inverted else 1.0
    with torch.no_grad():
        if network.shape.distance == "squared":
            return partial(Mixture, sign * network.expert_rewards(phi).numpy())
        points = network.items(phi[:, : network.shape.features]).numpy()
        anchors = network.anchors(phi).numpy()

    def block(rows: PaddedRows) -> Block:
        return Towards(network, points, anchors, sign, rows)

    return block


def loss_of(network: IdealPoints) -> Loss:
    """What a margin costs."""
    return Hinge() if network.shape.loss == "hinge" else Logistic()
