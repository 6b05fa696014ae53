"""`{name}` in a cell becomes a user's variable, if there is one; everything else stays as it was typed."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"\{([^\W\d]\w*)\}")


def interpolate(text: str, variables: Mapping[str, object]) -> str:
    """`text` with each `{name}` that is in `variables` replaced by its str(), once: values are not looked into."""
    return _NAME.sub(lambda m: str(variables[m[1]]) if m[1] in variables else m[0], text)
