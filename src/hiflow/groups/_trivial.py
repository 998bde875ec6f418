"""The group of one element: no symmetry."""

from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.groups._base import AbstractDiscreteGroup, registry


@registry.register("trivial")
class Trivial(AbstractDiscreteGroup[tuple[()]]):
    """No symmetry: the only element is the empty tuple, and it does nothing.

    **Example:**

    ```pycon
    >>> group = hf.groups.Trivial()
    >>> group.act((), jnp.ones(2)), hf.groups.reference_measure(group, (2,))
    (Array([1., 1.], dtype=float32), 'Lebesgue measure on R^2')
    ```
    """

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> tuple[()]:
        return ()

    def act(self, g: tuple[()], x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return x

    def inverse(self, g: tuple[()]) -> tuple[()]:
        return g

    def compose(self, g: tuple[()], h: tuple[()]) -> tuple[()]:
        return g

    def align(self, x: Float[Array, "*event"], y: Float[Array, "*event"]) -> tuple[()]:
        """The only element."""
        return ()
