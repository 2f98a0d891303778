"""What a self-test compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass
class Outcome:
    """What was compared.

    Attributes:
        overlay: its name.
        words: of 16 bits that came and were compared.
        wrong: of them, those that are not the model's.
    """

    overlay: str
    words: int = 0
    wrong: int = 0

    def compare(self, came: Any, model: Any) -> None:
        """Count words that differ; all of them, where there are not as many."""
        self.words += model.size
        self.wrong += int(np.count_nonzero(came != model)) if came.shape == model.shape else model.size

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "bit_exact_with_model": not self.wrong}
