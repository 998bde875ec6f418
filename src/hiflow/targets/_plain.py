"""The conditional velocity itself."""

from jaxtyping import Array, Float

from hiflow.paths import AbstractPath
from hiflow.targets._base import AbstractTarget, Pair, registry


@registry.register("plain")
class Plain(AbstractTarget):
    r"""The conditional velocity $u_t(x_t|x_1)$, as conditional flow matching has it.

    **Example:**

    ```pycon
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=10,
    ...               target=hf.targets.Plain(), progress=False)  # the default
    ```
    """

    def __call__(
        self, path: AbstractPath, pair: Pair
    ) -> tuple[Float[Array, "*event"], Float[Array, "*event"]]:
        return path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
