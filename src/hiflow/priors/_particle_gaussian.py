"""The Gaussian of particles in space that turning doesn't change."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from hiflow._checks import as_array, check_event, is_concrete
from hiflow.groups import Permutation, Product, Rotation, Translation
from hiflow.priors._base import AbstractPrior, registry
from hiflow.priors._shrinkage import check_definite, check_shrinkage, shrunk, softened_inverse

Species = tuple[int | float | str, ...] | None


def _as_species(value: object) -> Species:
    return None if value is None else Permutation(species=value).species


@registry.register("particle-gaussian")
class ParticleGaussianPrior(AbstractPrior):
    r"""$N(0, PMP \otimes I_d)$ on configurations whose mean is the origin: particles that move together
    as $M$ says, alike in all directions of space. $P$ removes the mean over particles.

    The most general Gaussian that is invariant under rotations and reflections. Its log density is with
    respect to Lebesgue measure on the centred subspace, of $(n-1)d$ dimensions, and doesn't depend on
    where the centre of mass of `x` is.

    **Arguments:**

    - `covariance`: $M$, `(particles, particles)`; only $PMP$ counts.
    - `dim`: $d$, the dimension of space.
    - `species`: a label per particle; those of one label may be exchanged, and $M$ must allow it. `None`
      if all are told apart.

    **Raises:** `ValueError` for a covariance that isn't positive definite on the centred subspace, or
    that `species` doesn't leave as it is.

    **Example:**

    ```pycon
    >>> chain = hf.priors.ParticleGaussianPrior(jnp.eye(4) + 0.5, dim=3)
    >>> molecules = jax.vmap(chain.sample)(jax.random.split(key, 200))
    >>> again = hf.priors.ParticleGaussianPrior.fit(molecules)  # blind to how each is turned
    >>> again.event_shape, again.log_prob(molecules[0]).round()
    ((4, 3), Array(-13., dtype=float32))
    ```
    """

    covariance: Float[Array, "particles particles"] = eqx.field(converter=as_array)
    dim: int = eqx.field(static=True, default=3)
    species: Species = eqx.field(static=True, converter=_as_species, default=None)

    def __check_init__(self):
        n = self.covariance.shape[0]
        if self.covariance.shape != (n, n) or n < 2 or self.dim < 1:
            raise ValueError(
                "ParticleGaussianPrior: `covariance` must be of shape (particles, particles) for at "
                f"least 2 particles in at least 1 `dim`, got {self.covariance.shape} and dim={self.dim}."
            )
        if not is_concrete(self.covariance):
            return
        B, M = _centred_basis(n), np.asarray(self.covariance, np.float64)
        check_definite(B.T @ M @ B, "ParticleGaussianPrior: `covariance`, centred,")
        if self.species is not None:
            P = B @ B.T
            off = np.abs(P @ (M - _symmetrised(M, self.species)) @ P).max()
            if off > 1e-3 * np.abs(P @ M @ P).max():
                raise ValueError(
                    "ParticleGaussianPrior: `covariance` tells particles of one of the `species` apart, "
                    f"by up to {off:.2g}. Leave `species` out, or use `fit(..., species=...)`."
                )

    @classmethod
    def fit(
        cls,
        data: ArrayLike,
        *,
        shrinkage: float | None = None,
        species: Sequence[int | float | str] | None = None,
    ) -> "ParticleGaussianPrior":
        r"""$M_{ij} = \langle x_i \cdot x_j\rangle / d$ of `data`, `(n, particles, dim)`, drawn towards
        $P$: the data's covariance averaged over rotations, whatever frame each point is in.

        **Arguments:**

        - `shrinkage`: from 0 to 1; by default Ledoit and Wolf's.
        - `species`: as of the prior; $M$ is averaged over exchanges.
        """
        owner = "ParticleGaussianPrior.fit"
        x = np.asarray(data, np.float64)
        if x.ndim != 3 or x.shape[1] < 2 or not np.isfinite(x).all():
            raise ValueError(
                f"{owner}: `data` must be finite points (n, particles, dim), got shape {x.shape}."
            )
        B = _centred_basis(x.shape[1])
        rows = np.einsum("npd,pk->ndk", x, B).reshape(-1, x.shape[1] - 1)
        M = B @ shrunk(rows, shrinkage, owner) @ B.T
        kinds = _as_species(species)
        return cls(M if kinds is None else _symmetrised(M, kinds), x.shape[2], kinds)

    @classmethod
    def blank(
        cls,
        shape: tuple[int, ...],
        *,
        shrinkage: float | None = None,
        species: Sequence[int | float | str] | None = None,
    ) -> "ParticleGaussianPrior":
        """$M = I$ with `fit`'s settings and their checks."""
        owner = "ParticleGaussianPrior.fit"
        check_shrinkage(shrinkage, owner)
        if len(shape) != 2 or shape[0] < 2:
            raise ValueError(
                f"{owner}: the data must be points (n, particles, dim), got events of shape {shape}."
            )
        return cls(np.eye(shape[0]), shape[1], _as_species(species))

    @classmethod
    def from_hessian(
        cls, hessian: ArrayLike, dim: int = 3, *, floor: float = 1.0, species: Species = None
    ) -> "ParticleGaussianPrior":
        r"""As wide as thermal motion in a well whose Hessian, averaged over rotations, is
        $K \otimes I_d$: $M = Q\max(|\Lambda|, h)^{-1}Q^\top$ of $K$ on the centred subspace.

        **Arguments:**

        - `hessian`: `(particles · dim, particles · dim)`, in kT, such as the mean over the data.
        - `floor`: $h$.
        """
        owner = "ParticleGaussianPrior.from_hessian"
        H = np.asarray(hessian, np.float64)
        n = H.shape[0] // dim
        if H.shape != (n * dim, n * dim) or n < 2:
            raise ValueError(
                f"{owner}: `hessian` must be of shape (particles * {dim}, particles * {dim}), got "
                f"{H.shape}."
            )
        K = np.einsum("idjd->ij", H.reshape(n, dim, n, dim)) / dim
        B = _centred_basis(n)
        M = B @ softened_inverse(B.T @ K @ B, floor, owner) @ B.T
        return cls(M if species is None else _symmetrised(M, species), dim, species)

    @classmethod
    def example(cls) -> "ParticleGaussianPrior":
        """Four beads, each bound to the one before."""
        M = 0.3 * np.minimum.outer(np.arange(4.0), np.arange(4.0)) + np.eye(4) / 4
        return cls(M)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(particles, dim)`."""
        return (self.covariance.shape[0], self.dim)

    @property
    def group(self) -> Product:
        """Rotations with reflections, translations, and exchanges within a species."""
        turns = (Rotation(self.dim, reflections=True), Translation())
        return Product(turns if self.species is None else (Permutation(self.species), *turns))

    @property
    def mean(self) -> Float[Array, ""]:
        """0."""
        return jnp.zeros((), self.covariance.dtype)

    @property
    def covariance_matrix(self) -> Float[Array, "dim dim"]:
        r"""$PMP \otimes I_d$ over the flattened event."""
        M = self.covariance - self.covariance.mean(axis=0)
        return jnp.kron(M - M.mean(axis=1, keepdims=True), jnp.eye(self.dim))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "particles dim"]:
        B, L = self._basis, self._root
        z = jax.random.normal(key, (B.shape[1], self.dim), self.covariance.dtype)
        return jnp.matmul(jnp.matmul(B, L, precision="highest"), z, precision="highest")

    def log_prob(self, x: Float[Array, "particles dim"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="ParticleGaussianPrior.log_prob")
        B, L = self._basis, self._root
        y = jnp.matmul(B.T, x, precision="highest")
        z = jax.scipy.linalg.solve_triangular(L, y, lower=True)
        log_det = self.dim * jnp.sum(jnp.log(jnp.diagonal(L)))
        return -jnp.sum(z**2) / 2 - log_det - y.size / 2 * jnp.log(2 * jnp.pi)

    @property
    def _basis(self) -> Float[Array, "particles free"]:
        return jnp.asarray(_centred_basis(self.covariance.shape[0]), self.covariance.dtype)

    @property
    def _root(self) -> Float[Array, "free free"]:
        B = self._basis
        centred = jnp.matmul(
            jnp.matmul(B.T, self.covariance, precision="highest"), B, precision="highest"
        )
        return jnp.linalg.cholesky(centred)


def _centred_basis(n: int) -> np.ndarray:
    """Orthonormal columns that span what has no mean (Helmert's)."""
    k = np.arange(1, n)
    B = np.where(np.arange(n)[:, None] < k, 1.0, 0.0) - np.where(np.arange(n)[:, None] == k, k, 0.0)
    return B / np.sqrt(k * (k + 1.0))


def _symmetrised(M: np.ndarray, species: Species) -> np.ndarray:
    """The mean of $M$ over all exchanges within a species."""
    kinds = Permutation(species).kinds((M.shape[0],))
    alike, found = kinds[:, None] == kinds[None, :], np.zeros_like(M)
    same = np.eye(len(M), dtype=bool)
    for a in range(kinds.max() + 1):
        for b in range(kinds.max() + 1):
            block = (kinds[:, None] == a) & (kinds[None, :] == b)
            for part in (block & same, block & ~same & alike, block & ~alike):
                if part.any():
                    found[part] = M[part].mean()
    return found
