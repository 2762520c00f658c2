"""The array types that numeric code passes around."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Arrays = dict[str, NDArray[np.generic]]
"""Named arrays: the artifact of whatever was fitted."""
