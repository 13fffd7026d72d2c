"""Square images of n pixels from the photographs of the scikit-image and scikit-learn wheels."""

from __future__ import annotations

import math

import numpy as np

from problems.arrays import Array
from problems.data.signals import grey_images

SPAN = 192  # side of the square of a photograph that is averaged down, so that a small image still has edges

TRIES = 10_000  # squares drawn before an image counts as one without contrast


def crop(n: int, rng: np.random.Generator) -> Array:
    """A random square of a photograph averaged down to n pixels, by rows, values in [0, 1]; ValueError for n not 4, 9, ..."""
    from skimage.transform import resize

    side = math.isqrt(n)
    if side * side != n or side < 2:
        raise ValueError(f"images need a square n of at least 4, such as 36, 64, 256, got n = {n}")
    images = grey_images()
    for _ in range(TRIES):
        image = images[rng.integers(len(images))]
        span = min(max(SPAN, side), *image.shape)
        top, left = (int(rng.integers(length - span + 1)) for length in image.shape)
        small = resize(image[top : top + span, left : left + span], (side, side), anti_aliasing=True)
        if np.ptp(small) > 0.3:  # a square without contrast has nothing to restore
            return np.asarray(small, dtype=np.float64).ravel()
    raise ValueError(f"no square with contrast was found for n = {n}; give a larger n, such as 36, or another seed")
