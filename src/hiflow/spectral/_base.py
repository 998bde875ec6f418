"""What a spectral map is: eigenvalues of a Hessian to positive numbers."""

import abc

from jaxtyping import Array, Float

from hiflow._summaries import Component
from hiflow.registry import Registry


class AbstractSpectralMap(Component):
    r"""Turns eigenvalues $\lambda$ into positive numbers, in either of two roles: as *rates*
    $a = r(\lambda)$, how fast each mode relaxes, or as *curvature* $k = c(\lambda)$, how narrow each
    mode ends up.

    Laws (`hiflow.testing.check_spectral_map`): positive and finite, never below `lower_bound`, and
    independent of the order of the eigenvalues (the value of a mode moves with its eigenvalue), except
    for the control `Shuffled`, whose point is to break that.

    **Example:**

    ```pycon
    >>> class Logarithmic(hf.spectral.AbstractSpectralMap):
    ...     def __call__(self, eigenvalues):
    ...         return 1 + jnp.log1p(jnp.maximum(eigenvalues, 0) / 100)
    ...     @property
    ...     def lower_bound(self):
    ...         return jnp.asarray(1.0)
    ...
    >>> found = hf.testing.check_spectral_map(Logarithmic())  # its laws hold
    >>> path = hf.paths.Linearised(ring, rates=Logarithmic())
    ```
    """

    @abc.abstractmethod
    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        """One positive value per eigenvalue; all eigenvalues of one Hessian are given at once."""

    @property
    @abc.abstractmethod
    def lower_bound(self) -> Float[Array, ""]:
        """No value is below this, whatever the eigenvalues: paths refuse rates that may reach ½."""


registry = Registry("spectral", AbstractSpectralMap)
