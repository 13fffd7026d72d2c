"""Clean signals of a drawn instance: name -> function of (count, n, rng) returning (count, n), peak 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from problems.arrays import Array
from problems.data.wheels import scikit_learn

_IMAGES = ("brick", "coins", "page", "clock", "text", "camera", "moon", "grass", "gravel", "astronaut", "coffee", "chelsea")
_PHOTOS = ("china", "flower")


def _peak_one(x: Array) -> Array:
    return x / np.abs(x).max(axis=1, keepdims=True)


def piecewise_constant(count: int, n: int, rng: np.random.Generator) -> Array:
    """Steps of N(0, 1) height between n // 12 (at least 2) random jumps; Ghosh, McCann and Ravishankar (2022), section 4."""
    x = np.empty((count, n))
    jumps = min(n - 1, max(2, n // 12))
    for row in x:
        edges = np.sort(rng.choice(np.arange(1, n), size=jumps, replace=False))
        lengths = np.diff(np.concatenate([[0], edges, [n]]))
        row[:] = np.repeat(rng.standard_normal(jumps + 1), lengths)
    return _peak_one(x)


def dct_sparse(count: int, n: int, rng: np.random.Generator) -> Array:
    """Sums of four low harmonics, sparse under the DCT-II; Ghosh, McCann and Ravishankar (2022), section 4."""
    from scipy.fft import idct

    coefficients = np.zeros((count, n))
    low = max(4, n // 4)
    for row in coefficients:
        row[rng.choice(low, size=4, replace=False)] = rng.standard_normal(4)
    return _peak_one(np.asarray(idct(coefficients, axis=1, norm="ortho")))


@cache
def grey_images() -> tuple[Array, ...]:
    """The photographs inside the scikit-image and scikit-learn wheels, grey, in [0, 1]."""
    import skimage.data
    from skimage.color import rgb2gray
    from skimage.util import img_as_float64

    images = [getattr(skimage.data, name)() for name in _IMAGES]
    images += [_photo(name) for name in _PHOTOS]
    return tuple(rgb2gray(image) if image.ndim == 3 else img_as_float64(image) for image in images)


def _photo(name: str) -> Array:
    from PIL import Image

    return np.asarray(Image.open(scikit_learn("images", f"{name}.jpg")))


def image_patches(count: int, n: int, rng: np.random.Generator) -> Array:
    """Square patches of real photographs, vectorised by rows, peak 1; n must be a square; flat patches are drawn again.

    A patch is taken from the images that are as large as it is, up to 512 x 512.
    """
    side = math.isqrt(n)
    if side * side != n:
        raise ValueError(f"image-patches needs a square n such as 16, 36, 64, 144, got n = {n}")
    images = [image for image in grey_images() if min(image.shape) >= side]
    if not images:
        raise ValueError(f"image-patches are at most 512 x 512, got n = {n} = {side} x {side}")
    x = np.empty((count, n))
    for row in x:
        while True:
            image = images[rng.integers(len(images))]
            top, left = (int(rng.integers(length - side + 1)) for length in image.shape)
            row[:] = image[top : top + side, left : left + side].ravel()
            if np.ptp(row) > 0.05:  # a patch without contrast has nothing to denoise
                break
    return _peak_one(x)


SIGNALS: dict[str, Callable[[int, int, np.random.Generator], Array]] = {
    "piecewise-constant": piecewise_constant,
    "dct-sparse": dct_sparse,
    "image-patches": image_patches,
}
