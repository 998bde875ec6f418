"""Faults in targets, and in the paths and couplings that serve them."""

from faults._mutation import Mutation

FORMULAS = "tests/targets/test_target_formulas.py"
TRAINING = "tests/targets/test_targets_in_training.py"
CONTROLLED = FORMULAS + "::test_a_controlled_target_is_its_formula"

FAULTS = [
    Mutation(
        "points without a density have a velocity",
        "targets/_posterior_averaged.py",
        "jnp.where(none.reshape",
        "jnp.where(0 * none.reshape",
        FORMULAS + "::test_where_scales_are_rounded_to_zero_a_point_is_alone",
    ),
    Mutation(
        "a control with the force upside down",
        "targets/_force_controlled.py",
        "c = beta * epsilon - sigma * pair.anchor.gradient",
        "c = beta * epsilon + sigma * pair.anchor.gradient",
        CONTROLLED + "[cosine]",
    ),
    Mutation(
        "the jitter's precision is forgotten",
        "targets/_force_controlled.py",
        "level = level + (sigma / self.jitter) ** 2",
        "level = level + 0 * sigma",
        CONTROLLED + "[bridge, jittered pairs]",
    ),
    Mutation(
        "the plain target is half as fast",
        "targets/_plain.py",
        "return path.flow_and_velocity(pair.x0, pair.anchor, pair.t)",
        "x, u = path.flow_and_velocity(pair.x0, pair.anchor, pair.t)\n        return x, u / 2",
        "tests/training/test_training_step.py::test_training_is_plain_optax",
    ),
    Mutation(
        "the gradient at another point",
        "targets/_forces.py",
        "jax.grad(self.energy)(x1))",
        "jax.grad(self.energy)(0.9 * x1))",
        CONTROLLED + "[optimal transport]",
    ),
    Mutation(
        "unlike particles share a mean Hessian",
        "targets/_mean_hessian.py",
        "found[part] = M[part].mean()",
        "found[part] = M[block].mean()",
        FORMULAS + "::test_the_mean_hessian_is_found_from_gradients_up_to_the_symmetry",
    ),
    Mutation(
        "the own point counts twice",
        "targets/_posterior_averaged.py",
        "good = index != pair.index",
        "good = index >= 0",
        FORMULAS + "::test_the_average_over_all_points_is_the_marginal_velocity",
    ),
    Mutation(
        "the sum isn't rescaled when a likelier point comes",
        "targets/_posterior_averaged.py",
        "drift = before * drift +",
        "drift = drift +",
        FORMULAS + "::test_the_average_over_all_points_is_the_marginal_velocity",
    ),
    Mutation(
        "a bridge of twice the width",
        "paths/_bridge.py",
        "return 4 * self.width * t * (1 - t)",
        "return 8 * self.width * t * (1 - t)",
        TRAINING + "::test_draws_of_a_bridge_have_its_noise",
    ),
    Mutation(
        "jitter of another width than was told",
        "couplings/_jittered.py",
        "self.inner(x0, x1 + self.width * xi, k_pair)",
        "self.inner(x0, x1 + xi, k_pair)",
        TRAINING + "::test_jitter_is_what_the_inner_coupling_saw",
    ),
    Mutation(
        "data that don't follow the energy get a control",
        "training/_targets.py",
        "virial = check_virial(energy, read, chains)",
        "virial = None",
        TRAINING + "::test_a_biased_control_is_refused[settings6-don't follow the energy]",
    ),
    Mutation(
        "every arm's loss is called plain",
        "experiments/_losses.py",
        "if isinstance(sampler, SupportsObjective):",
        "if not isinstance(sampler, SupportsObjective):",
        "tests/targets/test_targets_in_experiments.py::"
        "test_a_page_says_which_losses_and_targets_are_not_the_plain_ones",
    ),
    Mutation(
        "the law about the point compares targets",
        "testing/_target.py",
        '"point": jnp.max(jnp.abs(x - x_t), axis=size)',
        '"point": 0 * jnp.max(jnp.abs(x - x_t), axis=size)',
        "tests/testing/test_broken_targets.py::test_broken_target_is_refused",
    ),
]
