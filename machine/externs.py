"""Operations a description declares ``extern``: uninterpreted to the solver, carried out here.

Each takes and gives unsigned bit patterns. The machine masks the result to the declared width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

EXTERNS: dict[str, Callable[..., int]] = {"isqrt": math.isqrt}
