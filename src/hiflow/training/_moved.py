r"""Points that an energy moves: as many to judge flows by as one likes, and none is left out for it.

A Markov kernel that leaves $p \propto e^{-V}$ as it is takes a sample of $p$ to a sample of $p$. So the
points $y$ to which Hamiltonian Monte Carlo moves training points $x \sim p$ are samples of $p$ each,
after however many updates, and there are several from every $x$. What the updates are for is that $y$
forgets $x$. How far it has is seen from distances alone: with a correlation $\rho$ of $y$ with $x$, and
a second chain $y'$ from the same $x$,

$$E|y - x|^2 = 2\sigma^2 (1 - \rho), \quad E|y - y'|^2 = 2\sigma^2 (1 - \rho^2), \quad
\rho = E|y - y'|^2 / E|y - x|^2 - 1.$$

From one well to another no chain goes. Given the data, then, $y$ is of $\hat p = \sum_w (n_w / n)\,
p_w$, over the wells $w$ with $n_w$ of the $n$ points, and $-E \log q(y)$ is $KL(\hat p \,\|\, q)$ and a
constant: flows are told apart as by test points, but for wells that no point is in, of which nothing is
known. A point that is left out, in contrast, may have been the only one in its well. Flows that are
trained on the others have nothing there, its NLL of tens of nats is most of the mean, and what is
chosen is a law wide enough to reach from one well to the next, which the flow of *all* points has no
need of.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._programs import compiled
from hiflow.data._hmc import HMCSettings, run_chains
from hiflow.data._virial import mean_over_chains
from hiflow.energies import AbstractEnergy, HostEnergy, SupportsFitting
from hiflow.groups._periods import within_a_period

# So many moved points at least, and the updates of each, of so many steps.
_MOVED, _UPDATES, _STEPS = 256, 200, 20
# The largest correlation with which moved points still judge.
_REMEMBERED = 0.5
# Standard errors from which on points aren't samples of the energy.
_ERRORS = 4.0


@dataclasses.dataclass(frozen=True)
class Moved:
    """Where an energy moves points to.

    **Arguments:**

    - `points`: first each point's first, then each point's second, and so on.
    - `correlation`: with where they began. `heat`: by how much the energy rose, for every point that was
      moved, in the mean over where it went. `chains`: of the points, if they aren't independent.
    """

    points: Float[Array, "moved *event"]
    correlation: float
    heat: np.ndarray
    chains: np.ndarray | None = None

    @property
    def fault(self) -> str | None:
        """Why they can't judge, if they can't."""
        rise, error = mean_over_chains(self.heat, self.chains)
        if not abs(rise) <= _ERRORS * error:
            words = "the data aren't samples of the energy, which moves them by"
            return f"{words} {rise:+.2g} ± {error:.1g} kT"
        if not self.correlation <= _REMEMBERED:
            kept = f"{self.correlation:.0%}"
            return f"after {_UPDATES} updates points that the energy moves still remember {kept}"
        return None


def judges(
    energy: AbstractEnergy | None,
    x: Float[Array, "n *event"],
    key: PRNGKeyArray,
    chains: np.ndarray | None = None,
) -> tuple[Array | None, str]:
    """Points that the energy moves from the data, to judge by; or `None`, and why not, in words."""
    if energy is None:
        return None, ""
    if isinstance(energy, SupportsFitting):
        return None, "the energy is fitted to the data, and can't judge what is made of them"
    if any(isinstance(part, HostEnergy) for part in _parts(energy)):
        return None, "the energy is calculated on the host, too dear to move points by"
    try:
        found = dataclasses.replace(moved(energy, x, key), chains=chains)
    except (ValueError, FloatingPointError) as error:
        return None, f"the energy can't move the points: {str(error).splitlines()[0][:120]}"
    return (found.points, "") if found.fault is None else (None, found.fault)


def moved(energy: AbstractEnergy, x: Float[Array, "n *event"], key: PRNGKeyArray) -> Moved:
    """Points moved by Hamiltonian Monte Carlo, at least two from every one.

    **Raises:** `ValueError` if the energy or its gradient isn't finite at a point.
    """
    n = len(x)
    copies = max(2, -(-_MOVED // n))
    start = jnp.tile(x, (copies, *[1] * (x.ndim - 1)))
    settings = HMCSettings(len(start), _UPDATES, _STEPS, _STEPS, target_acceptance=0.8)
    y = run_chains(energy, key, 1, settings, start, progress=False).points
    correlation, heat = _memory(energy, x, y.reshape(copies, *x.shape))
    return Moved(y, float(correlation), np.asarray(heat, np.float64))


def _parts(energy: AbstractEnergy) -> list[object]:
    return jax.tree.leaves(energy, is_leaf=lambda part: isinstance(part, HostEnergy))


@compiled()
def _memory(
    energy: AbstractEnergy, x: Float[Array, "n *event"], y: Float[Array, "copies n *event"]
) -> tuple[Float[Array, ""], Float[Array, " n"]]:
    """The correlation of moved points with where they began, and the rise of the energy of each."""
    x = jax.vmap(energy.group.project)(x)
    # A joint that turns all the way round is never far.
    near = jax.vmap(jax.vmap(partial(within_a_period, energy.group)))
    apart = jnp.mean(near(y - jnp.roll(y, 1, axis=0)) ** 2)
    away = jnp.mean(near(y - x) ** 2)
    values = jax.vmap(jax.vmap(energy))
    # What nothing has moved remembers all.
    remembered = jnp.where(away > 0, apart / away - 1, 1.0)
    return remembered, jnp.mean(values(y), axis=0) - values(x[None])[0]
