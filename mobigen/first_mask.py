"""Whether a first click means what stands out in the photo anyway; then the first mask goes with it.

The first mask knows an object's edge better than one click does. Where several objects stand out the click chooses one,
and its answer without the first mask is then far from it.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["AGREEMENT", "SURENESS", "means_first_mask"]

AGREEMENT = 0.7  # IoU
SURENESS = 2.0  # factor of the first mask's logits, which are timid, where a click has agreed with it


def means_first_mask(found: NDArray[np.bool_], first: NDArray[np.bool_]) -> bool:
    """Whether `found` (H, W), the answer to a click alone, is much the same as the mask `first` (H, W)."""
    return bool(np.count_nonzero(found & first) >= AGREEMENT * np.count_nonzero(found | first))
