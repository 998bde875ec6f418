"""The laws of a Hessian provider, for one energy."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PRNGKeyArray

from hiflow.energies import AbstractEnergy
from hiflow.groups import linear_part
from hiflow.hessians import AbstractHessian
from hiflow.testing._compiled import compiled
from hiflow.testing._points import relaxed_points
from hiflow.testing._report import Findings, Report, largest, seed


def check_hessian(
    hessian: AbstractHessian,
    energy: AbstractEnergy,
    *,
    key: PRNGKeyArray | None = None,
    points: object = None,
    exact: bool | None = None,
) -> Findings:
    r"""Check that a provider's operator is symmetric, equals Hessian–vector products, is
    equivariant, and that its spectrum diagonalises it on the directions that the energy's
    group leaves free.

    **Arguments:**

    - `energy`: the energy whose Hessian is asked for.
    - `points`: where to check, `(n, *event)`; by default normal draws that were relaxed downhill.
    - `exact`: `False` for an approximation, which needn't match Hessian–vector products; by default as
      the provider's class says by `approximate`. A diagonal
      operator is compared with the diagonal only. A provider with a field `tolerance` may miss the
      eigenpairs by that much.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_hessian(hf.hessians.Analytic(), ring, key=key)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    k_points, k_group, k_vectors = jax.random.split(key, 3)
    points = relaxed_points(energy, k_points, 4) if points is None else jnp.asarray(points)
    report = Report("check_hessian", hessian, key, energy)
    vectors = jax.random.normal(k_vectors, (3, points[0].size), points.dtype)
    found, tagged = _measure(hessian, energy, points, vectors, jax.random.split(k_group, 3))
    tolerance = 10 * report.rounding
    at = ("point", "vector")
    report.law("tag", "the operator is tagged symmetric", 0.0 if tagged else jnp.inf, 0)
    report.law("symmetric", "the operator is symmetric", found["symmetric"], tolerance, "point")
    if not hessian.approximate if exact is None else exact:
        report.law(
            "products", "H v is the Hessian–vector product", found["products"], tolerance, *at
        )
    report.law("size", "the spectrum counts the free directions", found["size"], 0, "point")
    report.law(
        "orthonormal", "the eigenvectors are orthonormal and free of null modes",
        found["orthonormal"], tolerance, "point",
    )  # fmt: skip
    # A provider may round what it takes for a null mode to 0, if it says how far it goes.
    rounded = float(getattr(hessian, "tolerance", 0.0)) * points[0].size
    report.law(
        "diagonal",
        "the eigenpairs diagonalise P H P",
        found["diagonal"],
        tolerance + rounded,
        "point",
    )
    report.law(
        "equivariance", "H(gx) = g H(x) gᵀ, and so for functions of the spectrum",
        found["equivariance"], 10 * tolerance, "point", "element", "vector",
    )  # fmt: skip
    return report.finish()


@compiled
def _measure(
    hessian: AbstractHessian, energy: AbstractEnergy, points: Array, vectors: Array, keys: Array
) -> tuple[dict[str, Array], bool]:
    tags = []

    def at(x: Array) -> dict[str, Array]:
        operator = hessian(energy, x)
        tags.append(lx.is_symmetric(operator))
        matrix = operator.as_matrix()
        scale = 1e-30 + largest(matrix)
        found = {
            "symmetric": largest(matrix - matrix.T) / scale,
            "products": _products(operator, energy, x, vectors) / scale,
        }
        turned = lambda key: _turned(hessian, energy, x, vectors, key, matrix)  # noqa: E731
        found["equivariance"] = jax.vmap(turned)(keys)
        return found | _eigenpairs(hessian, energy, x, matrix, scale)

    return jax.vmap(at)(points), all(tags)


def _products(
    operator: lx.AbstractLinearOperator, energy: AbstractEnergy, x: Array, vectors: Array
) -> Array:
    gradient = jax.grad(lambda y: energy(y.reshape(x.shape)))

    def product(v: Array) -> Array:
        return jax.jvp(gradient, (x.ravel(),), (v,))[1]

    if lx.is_diagonal(operator):
        diagonal = jnp.diagonal(jax.vmap(product)(jnp.eye(x.size, dtype=x.dtype)))
        return largest(operator.mv(jnp.ones_like(diagonal)) - diagonal)[None]
    errors = jax.vmap(lambda v: operator.mv(v) - product(v))(vectors)
    return jnp.max(jnp.abs(errors), axis=1)


def _eigenpairs(
    hessian: AbstractHessian, energy: AbstractEnergy, x: Array, matrix: Array, scale: Array
) -> dict[str, Array]:
    spectrum = hessian.spectrum(energy, x)
    modes, null = spectrum.modes, energy.group.null_modes(x)
    size = jnp.asarray(jnp.abs(modes.size - (x.size - null.shape[1])), matrix.dtype)
    if modes.vectors is None:
        eye = jnp.eye(x.size, dtype=x.dtype)
        reached = jax.vmap(lambda v: modes.apply(spectrum.eigenvalues, v))(eye)
        zero = jnp.zeros_like(scale)
        return {"size": size, "orthonormal": zero, "diagonal": largest(reached - matrix) / scale}
    Q = modes.columns
    assert Q is not None
    gram = jnp.matmul(Q.T, Q, precision="highest") - jnp.eye(Q.shape[1], dtype=Q.dtype)
    residual = jnp.matmul(matrix, Q, precision="highest") - Q * spectrum.eigenvalues[: Q.shape[1]]
    residual = residual - null @ jnp.matmul(null.T, residual, precision="highest")
    overlap = largest(jnp.matmul(null.T, Q, precision="highest"))
    return {
        "size": size,
        "orthonormal": jnp.maximum(largest(gram), overlap),
        "diagonal": largest(residual) / scale,
    }


def _turned(
    hessian: AbstractHessian,
    energy: AbstractEnergy,
    x: Array,
    vectors: Array,
    key: Array,
    matrix: Array,
) -> Array:
    """How far H itself and a smooth bounded function of it are from equivariant."""
    group = energy.group
    g = group.sample(key, energy.event_shape)
    moved = group.act(g, x)
    scale = 1e-30 + largest(matrix)
    here, there = hessian.spectrum(energy, x), hessian.spectrum(energy, moved)
    operator = hessian(energy, moved)

    def turn(v: Array) -> Array:
        return linear_part(group, g, v.reshape(x.shape)).ravel()

    def one(v: Array) -> Array:
        size = 1 + largest(v)
        product = turn(jnp.matmul(matrix, v, precision="highest")) - operator.mv(turn(v))
        bounded = turn(here.apply(lambda k: jnp.arctan(k / scale), v)) - there.apply(
            lambda k: jnp.arctan(k / scale), turn(v)
        )
        return jnp.maximum(largest(product) / scale, largest(bounded)) / size

    return jax.vmap(one)(vectors)
