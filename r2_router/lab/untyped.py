"""The parts of scikit-learn and joblib in use, which carry no types.

All are loaded at once: imports that scikit-learn makes late are not safe in the threads that folds run in.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

joblib: Any = import_module("joblib")
threadpoolctl: Any = import_module("threadpoolctl")
base: Any = import_module("sklearn.base")
isotonic: Any = import_module("sklearn.isotonic")
linear_model: Any = import_module("sklearn.linear_model")
metrics: Any = import_module("sklearn.metrics")
model_selection: Any = import_module("sklearn.model_selection")
multioutput: Any = import_module("sklearn.multioutput")
neighbors: Any = import_module("sklearn.neighbors")
utils: Any = import_module("sklearn.utils")
