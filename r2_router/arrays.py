"""The arrays everything is computed in, by type of number."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]  # quality, tokens, cost, risk; tables and heads while they are learned
Singles: TypeAlias = NDArray[np.float32]  # embeddings, and heads as they are stored and multiplied
