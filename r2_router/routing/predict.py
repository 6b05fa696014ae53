"""Vector -> expected quality and output tokens for every candidate, in one matrix product."""

from __future__ import annotations

import numpy as np

from r2_router.arrays import Floats, Singles
from r2_router.checkpoints.format import Checkpoint
from r2_router.errors import InputError
from r2_router.records import UNLIMITED

_NORM_TOLERANCE = 2e-2  # of the squared length; float16 servers return unit vectors to about 1e-3


class Predictor:
    """The heads of one checkpoint, ready to be multiplied.

    `outputs` are what the product gives, (H,) or (n, H) float32: quality rows, then token rows. They are turned
    into `quality` and `tokens` only where somebody looks.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._count = len(checkpoint.candidates)
        self.heads = np.array(checkpoint.token_heads, dtype=np.intp)
        self._head_floor = checkpoint.token_floor.astype(np.float64)[self.heads]
        self._head_ceiling = checkpoint.token_ceiling.astype(np.float64)[self.heads]
        budgets = [np.nan if budget == UNLIMITED else float(budget) for _, budget in checkpoint.candidates]
        self.budget_tokens = np.array(budgets, dtype=np.float64)
        self._transposed = np.ascontiguousarray(checkpoint.weights.T)

    @property
    def middle(self) -> Singles | None:
        """The middle (d,) of the queries the heads were trained on, or of the probes; None if neither is recorded."""
        if self.checkpoint.precision is not None:
            return self.checkpoint.precision.center
        probes = self.checkpoint.probe_vectors
        return None if probes is None else probes.mean(axis=0)

    def check(self, embedding: object) -> Singles:
        """`embedding` as a (d,) float32 unit vector; a (1, d) row is accepted as the seed accepts it.

        Raises InputError for another shape or dimension, a number that is not finite, or a vector that is not of
        unit length.
        """
        vector = self._array(embedding)
        if vector.ndim == 2 and vector.shape[0] == 1:
            vector = vector[0]
        if vector.ndim != 1:
            raise InputError(f"One embedding has shape ({self._dim},); got {vector.shape}. Use route_batch for many.")
        with np.errstate(over="ignore", invalid="ignore"):
            square = float(np.dot(vector, vector))
        if len(vector) != self._dim or not abs(square - 1.0) <= _NORM_TOLERANCE:
            self._checked(vector[None])  # names what is wrong
        return vector

    def check_batch(self, embeddings: object) -> Singles:
        """`embeddings` as an (n, d) float32 array of unit vectors; errors as in `check`."""
        array = self._array(embeddings)
        if array.ndim != 2:
            raise InputError(f"A batch of embeddings has shape (n, {self._dim}); got {array.shape}.")
        return self._checked(array)

    def outputs(self, vectors: Singles) -> Singles:
        """Heads applied to (d,) or (n, d) vectors: (H,) or (n, H)."""
        product = self.checkpoint.weights @ vectors if vectors.ndim == 1 else vectors @ self._transposed
        product += self.checkpoint.bias
        return product

    def outputs_as_released(self, vectors: Singles) -> Singles:
        """As `outputs`, summed in the order in which the seed release's golden routes were: on any processor the
        same float32 bits.

        That order is one of an AVX-512 dot product: 64 running sums with fused multiply-add (exact in float64,
        then rounded), folded in halves.
        """
        weights = self.checkpoint.weights.astype(np.float64)
        out = np.empty((*vectors.shape[:-1], len(weights)), dtype=np.float32)
        for row in np.ndindex(vectors.shape[:-1]):
            products = weights * vectors[row]
            padded = np.pad(products, ((0, 0), (0, -products.shape[1] % 64))).reshape(len(weights), -1, 64)
            sums = np.zeros((len(weights), 64), dtype=np.float32)
            for step in range(padded.shape[1]):
                sums = (sums + padded[:, step]).astype(np.float32)
            lanes = sums.reshape(-1, 4, 16)
            a, b, c, d = np.moveaxis(lanes[:, :, :8] + lanes[:, :, 8:], 1, 0)
            eight = a + b + c + d
            four = eight[:, :4] + eight[:, 4:]
            out[row] = (four[:, 0] + four[:, 1]) + (four[:, 2] + four[:, 3]) + self.checkpoint.bias
        return out

    def easiest_outputs(self) -> Singles:
        """Outputs (H,) of a query that every candidate answers well, in as few tokens as any did."""
        best, shortest = (60.0 if self.checkpoint.quality_scale == "logit" else 1.0), 0.0
        if self.checkpoint.token_scale == "log":
            shortest = -60.0
        return np.repeat(np.array([best, shortest], np.float32), (self._count, len(self.heads)))

    def quality(self, outputs: Singles) -> Floats:
        """Expected quality in 0..1, (..., C)."""
        quality = outputs[..., : self._count].astype(np.float64)
        if self.checkpoint.quality_scale == "logit":
            return self._from_logits(quality)
        np.maximum(quality, 0.0, out=quality)
        np.minimum(quality, 1.0, out=quality)
        return quality

    def link(self, z: Floats) -> tuple[Floats, Floats]:
        """Expected quality of what quality heads give, (..., C), and how steeply it rises there."""
        if self.checkpoint.quality_scale == "logit":
            quality = self._from_logits(z.copy())
            return quality, quality * (1.0 - quality / self.checkpoint.quality_ceiling)
        return z.clip(0.0, 1.0), np.ones_like(z)

    def _from_logits(self, z: Floats) -> Floats:
        """ceiling / (1 + exp(−z)), in place."""
        np.maximum(z, -60.0, out=z)  # where exp has no trouble, and nothing is left of the quality
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1.0
        return np.divide(self.checkpoint.quality_ceiling, z, out=z)

    def tokens(self, outputs: Singles, *, raw: bool = False) -> Floats:
        """Expected output tokens, (..., C): the token head within its floor and ceiling, else the budget.

        `raw` leaves out floor and ceiling, as the seed release does, and only forbids negative counts.
        """
        tokens = self.budget_tokens.copy() if outputs.ndim == 1 else np.tile(self.budget_tokens, (len(outputs), 1))
        tokens.T[self.heads] = self.head_tokens(outputs, raw=raw).T
        return tokens

    def foretell(self, vectors: Floats | Singles) -> tuple[Floats, Floats]:
        """Expected quality and output tokens, (n, C) each, of (n, d) vectors."""
        outputs = self.outputs(vectors.astype(np.float32, copy=False))
        return self.quality(outputs), self.tokens(outputs)

    def head_tokens(self, outputs: Singles, *, raw: bool = False) -> Floats:
        """As `tokens`, of the candidates in `checkpoint.token_heads` only: (..., H−C)."""
        predicted = outputs[..., self._count :].astype(np.float64)
        if self.checkpoint.token_scale == "log":
            np.minimum(predicted, 30.0, out=predicted)
            np.exp(predicted, out=predicted)
        np.maximum(predicted, 0.0 if raw else self._head_floor, out=predicted)
        return predicted if raw else np.minimum(predicted, self._head_ceiling, out=predicted)

    def leverage(self, vector: Singles) -> float | None:
        """How far (d,) `vector` lies from the training vectors (see checkpoint.Precision); None if unknown."""
        known = self.checkpoint.precision
        return None if known is None else known.leverage(vector)

    def leverages(self, vector: Singles) -> tuple[float, float] | None:
        """The leverage of (d,) `vector` and the limit above which it is unlike the training vectors, if known."""
        leverage, known = self.leverage(vector), self.checkpoint.precision
        return None if leverage is None or known is None else (leverage, known.leverage_limit)

    def quality_errors(self, vector: Singles) -> Floats | None:
        """Standard error of each expected quality, (C,): residual deviation times √leverage (the ridge
        posterior, Hoerl & Kennard 1970), or what the checkpoint states in its place; None where it states none.

        An error on the logit scale is carried over by the slope there, quality·(1 − quality/ceiling).
        """
        deviation, leverage = self.checkpoint.quality_error, self.leverage(vector)
        if deviation is None:
            return None
        errors = deviation.astype(np.float64) * (1.0 if leverage is None else leverage**0.5)
        if self.checkpoint.quality_scale == "logit":
            errors *= self.link(self.outputs(vector)[: self._count].astype(np.float64))[1]
        return errors

    @property
    def _dim(self) -> int:
        return self.checkpoint.embedder.dim

    def _array(self, value: object) -> Singles:
        try:
            with np.errstate(over="ignore"):
                return np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError):
            raise InputError(f"An embedding is an array of {self._dim} numbers, not {type(value).__name__}.") from None

    def _checked(self, array: Singles) -> Singles:
        if array.shape[1] != self._dim:
            raise InputError(
                f"The embedding has {array.shape[1]} dimensions; checkpoint '{self.checkpoint.name}' was trained on "
                f"{self._dim} from {self.checkpoint.embedder.id}. Embed with that model, or choose another checkpoint."
            )
        squares = np.einsum("nd,nd->n", array, array)
        if not np.isfinite(squares).all():
            raise InputError("The embedding holds a number that is not finite (or far too large).")
        if (squares == 0).any():
            raise InputError("The embedding is a zero vector: nothing was embedded.")
        off = np.abs(squares - 1)
        if (off > _NORM_TOLERANCE).any():
            length = float(np.sqrt(squares[off.argmax()]))
            raise InputError(f"The embedding has length {length:.3g}, not 1: divide it by its norm.")
        return array
