"""Images from local files or the user's cache, and pixels as real numbers and back."""

import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._checks import as_scalar, check_finite, check_positive
from hiflow._summaries import Component
from hiflow.data._cache import cache_folder
from hiflow.data._idx import load_idx

_OPENML = {"mnist": "mnist_784", "fashion-mnist": "Fashion-MNIST"}
_LEVELS = {"digits": 17, "mnist": 256, "fashion-mnist": 256}


class PixelTransform(Component):
    r"""Integer pixels to real numbers and back, with the Jacobians that a likelihood needs.

    *Uniform dequantisation* adds noise, $u = (\text{pixel} + U)/L$ in $[0, 1)$, so that a density of $u$
    bounds the probability of pixels from below (Theis, van den Oord and Bethge, 2016). The *logit* of
    $\alpha + (1 - 2\alpha)u$ takes the cube to $\mathbb R^D$ (Dinh, Sohl-Dickstein and Bengio, 2017),
    and $z = (\text{logit} - \text{shift})/\text{scale}$ brings it to the size of the prior.

    **Arguments:**

    - `levels`: $L$, the number of values that a pixel takes: 256, or 17 for scikit-learn's digits.
    - `alpha`: keeps the logit away from 0 and 1. With 1e-6, as most of the literature on MNIST has it,
      a constant background becomes a smooth density of unit width; with 0.05 a very narrow one.
    - `shift`, `scale`: of the logit.

    **Raises:** `ValueError` for fewer than two levels, an `alpha` outside $(0, ½)$, or a `scale` that
    isn't positive.

    **Example:**

    ```pycon
    >>> pixels = hf.data.images("digits")[0][:50]
    >>> transform = hf.data.PixelTransform(levels=17)
    >>> z = transform.forward(transform.dequantise(pixels, key=key))
    >>> float((transform.to_pixels(z) == pixels).mean().round(2))
    1.0
    >>> log_p = jax.scipy.stats.norm.logpdf(z[0]).sum()
    >>> transform.bits_per_dim(log_p, z[0]).shape
    ()
    ```
    """

    levels: int = eqx.field(static=True, default=256)
    alpha: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.05)
    shift: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)
    scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        if self.levels < 2:
            raise ValueError(f"PixelTransform: `levels` must be at least 2, got {self.levels}.")
        if not 0 < float(self.alpha) < 0.5:
            raise ValueError(f"PixelTransform: `alpha` must be in (0, 1/2), got {self.alpha}.")
        check_finite(self, "shift")
        check_positive(self, "scale")

    def dequantise(self, pixels: object, *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """$u$ in [0, 1) for integer pixels in 0 … L − 1.

        **Raises:** `ValueError` for pixels outside, and for such that aren't whole.
        """
        pixels = np.asarray(pixels)
        if not self._whole(pixels):
            raise ValueError(
                f"PixelTransform: pixels must be whole numbers between 0 and {self.levels - 1}, got "
                f"{pixels.dtype} from {pixels.min():g} to {pixels.max():g}. If they were divided by "
                f"{self.levels - 1}, take numpy.rint({self.levels - 1} * pixels)."
            )
        if pixels.min() < 0 or pixels.max() >= self.levels:
            raise ValueError(
                f"PixelTransform: pixels must lie between 0 and {self.levels - 1}, got "
                f"{pixels.min()} to {pixels.max()}. Set `levels`."
            )
        noise = jax.random.uniform(key, pixels.shape)
        # Rounding up to 1 would be the next pixel's value.
        return jnp.minimum((jnp.asarray(pixels, noise.dtype) + noise) / self.levels, 1 - 1e-7)

    def from_file(self, values: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """$z$ for what a file may hold: whole pixels, which are dequantised, or $z$ itself.

        **Raises:** `ValueError` for anything else, such as pixels that were divided by L − 1.
        """
        array = np.asarray(values)
        low, high = (float(self.forward(jnp.asarray(u))) for u in (0.0, 1.0))
        margin = 0.01 * (high - low)
        is_z = low - margin <= array.min() and array.max() <= high + margin
        unit = array.min() >= 0 and array.max() <= 1
        if is_z and not unit and not self._whole(array):
            return jnp.asarray(values)
        return self.forward(self.dequantise(array, key=key))

    def _whole(self, pixels: np.ndarray) -> bool:
        if not np.issubdtype(pixels.dtype, np.floating):
            return True
        # Floats that are 0 and 1 alone were divided by L - 1.
        whole = bool(np.all(pixels == np.rint(pixels)))
        return whole and (self.levels == 2 or bool(np.any(np.abs(pixels) > 1)))

    def forward(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        r"""$z$, what a flow is trained on."""
        p = self.alpha + (1 - 2 * self.alpha) * u
        return (jnp.log(p) - jnp.log1p(-p) - self.shift) / self.scale

    def inverse(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """$u$, which leaves [0, 1] by a little where a sample does."""
        return (jax.nn.sigmoid(self._logit(z)) - self.alpha) / (1 - 2 * self.alpha)

    def to_pixels(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """The pixels 0 … L − 1 that samples show."""
        return jnp.clip(jnp.floor(self.inverse(z) * self.levels), 0, self.levels - 1)

    def log_det(self, z: Float[Array, "*event"]) -> Float[Array, ""]:
        r"""$\log|\det dz/du|$ of one event, in nats: what takes a log density of $z$ to one of $u$."""
        logit = self._logit(z)
        log_slope = jax.nn.log_sigmoid(logit) + jax.nn.log_sigmoid(-logit)
        return jnp.sum(jnp.log((1 - 2 * self.alpha) / self.scale) - log_slope)

    def bits_per_dim(
        self, log_prob: Float[Array, ""], z: Float[Array, "*event"]
    ) -> Float[Array, ""]:
        r"""Bits per dimension of one event, from the log density of $z$ in nats: an upper bound of
        $-\log_2 P(\text{pixels})/D$, on average over the dequantisation noise.

        $-(\log p(z) + \log|\det dz/du| - D\log L) / (D \log 2)$; the uniform density gives $\log_2 L$.
        """
        nats = log_prob + self.log_det(z) - z.size * jnp.log(1.0 * self.levels)
        return -nats / (z.size * jnp.log(2.0))

    def _logit(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.shift + self.scale * z


def levels(name: str) -> int:
    """How many values a pixel takes in a set of images by name: 17 for `"digits"`, 256 for the others.

    **Raises:** `ValueError` for another name.

    **Example:**

    ```pycon
    >>> hf.data.levels("digits"), hf.data.levels("mnist")
    (17, 256)
    ```
    """
    if name not in _LEVELS:
        raise ValueError(f"images: `name` must be digits, {' or '.join(_OPENML)}, got {name!r}.")
    return _LEVELS[name]


def images(
    name: str, folder: str | os.PathLike[str] | None = None, side: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images as integers, `(n, height, width)`.

    **Arguments:**

    - `name`: `"digits"`, the 1,797 images of 8×8 pixels and 17 levels that scikit-learn ships (the last
      360 are the test set), `"mnist"` or `"fashion-mnist"`, 28×28 and 256 levels.
    - `folder`: where the IDX files of the last two lie, as their authors name them, gzipped or not.
      Without it they are taken from the folder of that name in
      [`cache_folder`][hiflow.data.cache_folder] if there is one, and else downloaded there from OpenML
      by scikit-learn, once.
    - `side`: a smaller height and width that divides theirs: every block of pixels becomes its mean,
      rounded to the nearest level.

    **Raises:** `ValueError` for another name, a `side` that doesn't divide, or a `side` for images that
    aren't square; `FileNotFoundError` if the folder lacks a file; `ImportError` without scikit-learn
    where it is needed; `OSError` if the download fails.

    **Example:**

    ```pycon
    >>> train, test = hf.data.images("digits")
    >>> train.shape, test.shape, int(train.max())
    ((1437, 8, 8), (360, 8, 8), 16)
    ```
    """
    train, test = _whole(name, folder)
    if side is None:
        return train, test
    if train.shape[1] != train.shape[2]:
        raise ValueError(
            f"images: `side` is for square images, and those of {name!r} have {train.shape[1]}×"
            f"{train.shape[2]} pixels. Leave it out."
        )
    if not 1 <= side <= train.shape[1] or train.shape[1] % side:
        raise ValueError(
            f"images: `side` must divide {train.shape[1]}, the height of {name!r}, got {side}."
        )
    return _shrunk(train, side), _shrunk(test, side)


def labels(
    name: str, folder: str | os.PathLike[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The classes of the [`images`][hiflow.data.images], from 0 to 9, in their order: of the training
    and of the test images.

    **Arguments:**

    - `name`, `folder`: as for `images`; the files of labels lie beside those of images.

    **Raises:** as `images`.

    **Example:**

    ```pycon
    >>> train, test = hf.data.labels("digits")
    >>> train[:5]
    array([0, 1, 2, 3, 4], dtype=int32)
    ```
    """
    levels(name)
    if name == "digits":
        every = _scikit_learn().load_digits().target.astype(np.int32)
        return every[:-360], every[-360:]
    kept = cache_folder() / name
    folder = kept if folder is None and kept.is_dir() else folder
    if folder is not None:
        files = (_idx_file(Path(folder), part, "labels-idx1") for part in ("train", "t10k"))
        train, test = (load_idx(file).astype(np.int32) for file in files)
        return train, test
    every = _fetched(name).target.astype(np.int32)
    return every[:60_000], every[60_000:]


def _shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    block = pixels.shape[1] // side
    tiles = pixels.reshape(-1, side, block, side, block).astype(np.float32)
    return np.floor(tiles.mean(axis=(2, 4)) + 0.5).astype(np.uint8)


def _whole(name: str, folder: str | os.PathLike[str] | None) -> tuple[np.ndarray, np.ndarray]:
    levels(name)  # Refuses an unknown one.
    if name == "digits":
        every = _scikit_learn().load_digits().images.astype(np.uint8)
        return every[:-360], every[-360:]
    kept = cache_folder() / name
    folder = kept if folder is None and kept.is_dir() else folder
    if folder is not None:
        train, test = (load_idx(_idx_file(Path(folder), part)) for part in ("train", "t10k"))
        return train, test
    every = _download(name)
    return every[:60_000], every[60_000:]


def _idx_file(folder: Path, part: str, kind: str = "images-idx3") -> Path:
    stem = f"{part}-{kind}-ubyte"
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder}: has no {stem} or {stem}.gz.")


def _download(name: str) -> np.ndarray:
    return _fetched(name).data.astype(np.uint8).reshape(-1, 28, 28)


def _fetched(name: str) -> Any:
    try:
        return _scikit_learn().fetch_openml(
            _OPENML[name], version=1, as_frame=False, data_home=str(cache_folder() / "openml")
        )
    except OSError as error:
        raise OSError(
            f"images: {name!r} could not be downloaded ({error}). Download its IDX files elsewhere "
            "and pass their folder."
        ) from error


def _scikit_learn() -> Any:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise ImportError("Images need scikit-learn: pip install 'hiflow-jax[images]'.") from error
    return sklearn.datasets
