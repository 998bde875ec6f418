"""Symmetry groups: what an energy, a prior or a path is invariant or equivariant under."""

from hiflow.groups._base import AbstractGroup
from hiflow.groups._permutation import Permutation
from hiflow.groups._product import Product
from hiflow.groups._rotation import Rotation
from hiflow.groups._translation import Translation
from hiflow.groups._trivial import Trivial
from hiflow.registry import Registry

registry = Registry(
    "groups",
    AbstractGroup,
    {
        "permutation": "hiflow.groups:Permutation",
        "product": "hiflow.groups:Product",
        "rotation": "hiflow.groups:Rotation",
        "translation": "hiflow.groups:Translation",
        "trivial": "hiflow.groups:Trivial",
    },
)

__all__ = [
    "AbstractGroup",
    "Permutation",
    "Product",
    "Rotation",
    "Translation",
    "Trivial",
    "registry",
]
