"""The posterior of a logistic regression, as an energy: what `posterior.toml` names."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_breast_cancer


def energy(w):
    """$-\\log p(w | y)$ up to a constant: 569 tumours, malignant or not, by 30 standardised features and
    a constant, weights $N(0, 1)$ before the data (scikit-learn's copy of Wolberg et al., 1995)."""
    features, signs = data()
    return jnp.sum(jax.nn.softplus(-signs * (features @ w))) + jnp.sum(w**2) / 2


@functools.cache
def data():
    """Features with a column of ones, `(569, 31)`, and the classes as 1 and -1."""
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return np.column_stack([np.ones(len(x)), x]).astype(np.float32), np.where(
        y == 1, 1.0, -1.0
    ).astype(np.float32)
