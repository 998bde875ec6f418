"""The outermost modes of a Hessian from Hessian–vector products alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy
from hiflow.hessians._base import AbstractHessian, products, refuse_symmetry, registry
from hiflow.spectrum import Spectrum, dense, low_rank

# An eigenvector holds a share with the law of χ²(1): nine times the mean three times in a thousand.
_CHANCE = 9.0


@registry.register("lanczos")
class Lanczos(AbstractHessian):
    r"""The `k` outermost eigenpairs and one value for the rest, by the Lanczos iteration with full
    reorthogonalisation (Golub and Van Loan, *Matrix Computations*, 10.3): for dimensions where a matrix
    is too large.

    How many of the `k` come from the lower end and how many from the upper is chosen so that the others
    vary least, since one value stands for them all: the stiff modes of a molecule, the soft ones of a
    model of images. Costs `iterations` Hessian–vector products and as many vectors per point. The
    rest's value is the mean of the other Ritz values, weighted by how much of the random first vector
    they hold: stochastic Lanczos quadrature (Ubaru, Chen and Saad, 2017). One of the `k` that holds much
    more than one eigenvector would stands for a repeated eigenvalue, and counts as rest too. The first
    vector is the same for every point and not equivariant, so it serves energies without a symmetry
    only.

    **Arguments:**

    - `k`: eigenpairs; all of them if the dimension is no larger.
    - `iterations`: of Lanczos; 0 means three times `k`. More make inner pairs exact: eigenvalues that
      aren't well apart from the others, as a network's, want eight times `k`.
    - `tolerance`: residual of an eigenpair, relative to the largest entry of the Hessian, that
      [`check_hessian`][hiflow.testing.check_hessian] lets pass.

    **Raises:** `ValueError` if `k` isn't positive, there are no more iterations than that, or the
    energy has a symmetry.

    **Example:**

    ```pycon
    >>> stiffness = jnp.concatenate([jnp.array([100.0, 50.0]), jnp.ones(18)])
    >>> normal = hf.energies.Gaussian(jnp.zeros(20), stiffness)
    >>> spectrum = hf.hessians.Lanczos(k=2).spectrum(normal, jnp.ones(20))
    >>> spectrum.eigenvalues.round(2)  # the two stiff ones, and the rest's
    Array([ 50., 100.,   1.], dtype=float32)
    ```
    """

    k: int = eqx.field(static=True, default=16)
    iterations: int = eqx.field(static=True, default=0)
    tolerance: float = eqx.field(static=True, default=1e-2)

    def __check_init__(self):
        if self.k < 1:
            raise ValueError(f"Lanczos: `k` must be at least 1, got {self.k}.")
        if self.iterations and self.iterations <= self.k:
            raise ValueError(
                f"Lanczos: `iterations` must be more than k = {self.k}, so that they show something of "
                f"the rest; got {self.iterations}."
            )

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        like = jax.ShapeDtypeStruct((x.size,), x.dtype)
        return lx.FunctionLinearOperator(products(energy, x), like, lx.symmetric_tag)

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        refuse_symmetry(energy, owner="Lanczos")
        k, steps = min(self.k, x.size), min(self.iterations or 3 * self.k, x.size)
        basis, tridiagonal = _iterate(self(energy, x), x.ravel(), steps)
        ritz, vectors = jnp.linalg.eigh(tridiagonal)
        if k == x.size:
            Q = jnp.matmul(basis.T, vectors, precision="highest")
            return jax.lax.stop_gradient(dense(ritz, Q))
        # What an eigenvector holds of a random vector; after all iterations it is known.
        share = 1 / x.size
        weights = vectors[0] ** 2 if steps < x.size else jnp.full(steps, share)
        start, rest = _split(ritz, weights, k, share)
        chosen = jnp.roll(jnp.arange(steps), -start)[steps - k :]
        Q = jnp.matmul(basis.T, vectors[:, chosen], precision="highest")
        return jax.lax.stop_gradient(low_rank(ritz[chosen], Q, rest, x.size))


def _split(
    ritz: Float[Array, " steps"], weights: Float[Array, " steps"], k: int, share: float
) -> tuple[Array, Array]:
    """Where in the ascending values the window of all but `k` begins that leaves the least variance to
    the rest, and the mean of that rest: the window, and what the others hold beyond one eigenvector."""
    position, starts = jnp.arange(ritz.size), jnp.arange(k + 1)[:, None]
    inside = (position >= starts) & (position < starts + ritz.size - k)
    beyond = jnp.maximum(weights - _CHANCE * share, 0)
    # A trace of weight for all: copies of a repeated eigenvalue, found by a restart, hold none.
    counted = jnp.where(inside, weights + 1e-6 * share, beyond)
    counted = counted / counted.sum(axis=1, keepdims=True)
    means = jnp.matmul(counted, ritz, precision="highest")
    variances = jnp.sum(counted * (ritz - means[:, None]) ** 2, axis=1)
    start = jnp.argmin(variances)
    return start, means[start]


def _iterate(
    operator: lx.AbstractLinearOperator, like: Float[Array, " dim"], steps: int
) -> tuple[Float[Array, "steps dim"], Float[Array, "steps steps"]]:
    """An orthonormal basis of the Krylov space, and the operator in it."""
    keys = jax.random.split(jax.random.key(0), steps)
    starts = jax.vmap(lambda key: jax.random.normal(key, like.shape, like.dtype))(keys)

    def step(j: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, images, vector = carry
        basis = basis.at[j].set(vector)
        image = operator.mv(vector)
        onward = _orthogonal(basis, image)
        length = jnp.linalg.norm(onward)
        # The Krylov space is exhausted, as for repeated eigenvalues: go on from another random vector.
        done = length <= 1e3 * jnp.finfo(like.dtype).eps * jnp.linalg.norm(image)
        onward = jnp.where(done, _orthogonal(basis, starts[j]), onward)
        return basis, images.at[j].set(image), onward / jnp.linalg.norm(onward)

    empty = jnp.zeros((steps, like.size), like.dtype)
    first = starts[-1] / jnp.linalg.norm(starts[-1])
    basis, images, _ = jax.lax.fori_loop(0, steps, step, (empty, empty, first))
    inside = jnp.matmul(basis, images.T, precision="highest")
    return basis, (inside + inside.T) / 2


def _orthogonal(basis: Float[Array, "steps dim"], v: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """What of `v` is orthogonal to the rows; twice, because once leaves rounding behind."""
    for _ in range(2):
        v = v - jnp.matmul(basis.T, jnp.matmul(basis, v, precision="highest"), precision="highest")
    return v
