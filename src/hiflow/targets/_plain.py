"""The conditional velocity itself."""

from jaxtyping import Array, Float

from hiflow.paths import AbstractPath
from hiflow.targets._base import AbstractTarget, Pair, registry


@registry.register("plain")
class Plain(AbstractTarget):
    r"""The conditional velocity $u_t(x_t|x_1)$, as conditional flow matching has it."""

    def __call__(
        self, path: AbstractPath, pair: Pair
    ) -> tuple[Float[Array, "*event"], Float[Array, "*event"]]:
        return path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
