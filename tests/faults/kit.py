"""Faults in the conformance kit: laws that it no longer checks."""

from faults._mutation import Mutation

DIVERGENCES = "tests/testing/test_broken_divergences.py"
ENERGIES = "tests/testing/test_broken_energies.py"
MODELS = "tests/testing/test_broken_models.py"
PATHS = "tests/testing/test_broken_paths.py::test_broken_path_is_refused"

FAULTS = [
    Mutation(
        "any move will do", "testing/_moves.py", "scores, jnp.inf)", "0 * scores, jnp.inf)",
        ENERGIES + "::test_broken_energy_is_refused",
    ),
    Mutation(
        "any invariance will do", "testing/_energy.py",
        "found[\"invariance\"], tolerance, \"point\"",
        "0 * found[\"invariance\"], tolerance, \"point\"",
        ENERGIES + "::test_broken_energy_is_refused",
    ),
    Mutation(
        "any product will do", "testing/_hessian.py", "found[\"products\"], tolerance, *at",
        "0 * found[\"products\"], tolerance, *at",
        ENERGIES + "::test_broken_hessian_is_refused",
    ),
    Mutation(
        "zero is a positive value", "testing/_spectral_map.py", "jnp.where(kept > 0, 0,",
        "jnp.where(kept < 1e30, 0,",
        ENERGIES + "::test_broken_spectral_map_is_refused",
    ),
    Mutation(
        "time may start anywhere", "testing/_time_transform.py",
        "\"tau(0) = 0\", jnp.abs(tau[0])", "\"tau(0) = 0\", 0 * jnp.abs(tau[0])",
        ENERGIES + "::test_broken_time_transform_is_refused",
    ),
    Mutation(
        "composition goes unchecked", "testing/_group.py", "\"compose\": largest(",
        "\"compose\": 0 * largest(",
        MODELS + "::test_broken_group_is_refused",
    ),
    Mutation(
        "any normaliser will do", "testing/_prior.py", "        jnp.abs(log_z), 6 * error",
        "        0 * jnp.abs(log_z), 6 * error",
        MODELS + "::test_broken_prior_is_refused",
    ),
    Mutation(
        "any use is even", "testing/_coupling.py", "uneven = jnp.abs(used.mean(0) - 1)",
        "uneven = 0 * jnp.abs(used.mean(0) - 1)",
        MODELS + "::test_broken_coupling_is_refused",
    ),
    Mutation(
        "any velocity is equivariant", "testing/_field.py",
        "found[\"equivariance\"] = jax.vmap(moved)(keys)",
        "found[\"equivariance\"] = 0 * jax.vmap(moved)(keys)",
        MODELS + "::test_broken_velocity_field_is_refused",
    ),
    Mutation(
        "any average is an integral", "testing/_time_sampler.py", "means.mean() - integral",
        "integral - integral",
        MODELS + "::test_broken_time_sampler_is_refused",
    ),
    Mutation(
        "a path without a density starts anywhere", "testing/_path.py",
        '            7, "point",', '            7e9, "point",',
        "tests/testing/test_broken_paths.py::test_path_without_a_density_must_start_at_the_prior",
    ),
    Mutation(
        "any target is a derivative", "testing/_any_path.py", "largest(velocity - x_dot) /",
        "0 * largest(velocity - x_dot) /",
        PATHS,
    ),
    Mutation(
        "any score is a slope", "testing/_gaussian_path.py", "\"score\": largest(score - slope)",
        "\"score\": 0 * largest(score - slope)",
        PATHS,
    ),
    Mutation(
        "NaN obeys every law", "testing/_report.py",
        "np.where(np.isnan(violation), np.inf, violation)",
        "np.where(np.isnan(violation), 0, violation)",
        DIVERGENCES + "::test_broken_divergence_is_refused",
    ),
    Mutation(
        "points are not relaxed", "testing/_points.py", "better = trial_value < value",
        "better = trial_value > value",
        "tests/testing/test_builtins.py::test_relaxed_points_lie_below_their_draws",
    ),
    Mutation(
        "surroundings without the prior's scale", "testing/_any.py",
        "return _normal(energy.event_shape, energy.group, scale)",
        "return _normal(energy.event_shape, energy.group, 1.0)",
        "tests/testing/test_any.py::test_check_knows_the_family_and_makes_up_the_surroundings",
    ),
    Mutation(
        "draws may end anywhere", "testing/_own_noise.py",
        "\"own end\": size(ends - at(end, other))", "\"own end\": 0 * size(ends - at(end, other))",
        "tests/testing/test_broken_paths.py::test_broken_noise_of_its_own_is_refused",
    ),
    Mutation(
        "draws may start anywhere", "testing/_own_noise.py", "size(at(start, x0) - x0)",
        "0 * size(at(start, x0) - x0)",
        "tests/testing/test_broken_paths.py::test_broken_noise_of_its_own_is_refused",
    ),
    Mutation(
        "any trace will do", "testing/_divergence.py", "jnp.abs(jnp.mean(estimates)",
        "0 * jnp.abs(jnp.mean(estimates)",
        DIVERGENCES + "::test_broken_divergence_is_refused",
    ),
    Mutation(
        "any mean will do", "testing/_divergence.py", '"spread": jnp.std(estimates) / scale',
        '"spread": jnp.inf + jnp.std(estimates)',
        DIVERGENCES + "::test_broken_divergence_is_refused",
    ),
    Mutation(
        "estimates may change from call to call", "testing/_divergence.py",
        '"again": largest(again)', '"again": 0 * largest(again)',
        DIVERGENCES + "::test_broken_divergence_is_refused",
    ),
    Mutation(
        "any divergence is a trace", "testing/_gaussian_path.py",
        "jnp.abs(path.divergence(anchor, t) - trace)", "0 * jnp.abs(path.divergence(anchor, t) - trace)",
        PATHS,
    ),
    Mutation(
        "any density is a likelihood", "testing/_gaussian_path.py", "jnp.abs(log_p - expected)",
        "0 * jnp.abs(log_p - expected)",
        PATHS,
    ),
    Mutation(
        "probability may be lost", "testing/_gaussian_path.py", "jnp.abs(log_p_dot + drift + trace)",
        "0 * jnp.abs(log_p_dot + drift + trace)",
        PATHS,
    ),
    Mutation(
        "any spread at the end", "testing/_gaussian_path.py", "largest(covariance - expected)",
        "0 * largest(covariance - expected)",
        PATHS,
    ),
    Mutation(
        "a flow may leave its subspace", "testing/_any_path.py", "largest(x_t - group.project(x_t))",
        "0 * largest(x_t - group.project(x_t))",
        "tests/testing/test_broken_paths.py::test_flow_that_leaves_the_centred_subspace_is_refused",
    ),
    Mutation(
        "any flow is equivariant", "testing/_any_path.py",
        "jnp.max(jnp.abs(reached - expected), axis=event)",
        "0 * jnp.max(jnp.abs(reached - expected), axis=event)",
        PATHS,
    ),
    Mutation(
        "any matrix is symmetric", "testing/_hessian.py", "largest(matrix - matrix.T)",
        "0 * largest(matrix - matrix.T)",
        ENERGIES + "::test_broken_hessian_is_refused",
    ),
    Mutation(
        "any vectors are orthonormal", "testing/_hessian.py", "jnp.maximum(largest(gram), overlap)",
        "0 * overlap",
        ENERGIES + "::test_broken_hessian_is_refused",
    ),
    Mutation(
        "a shaped prior's start is taken on trust", "testing/_shaped_prior.py",
        "return jnp.abs(law.log_prob(x, anchor, t) - expected) / (1 + jnp.abs(expected))",
        "return jnp.abs(expected - expected)",
        "tests/priors/test_gaussian_priors.py::test_a_law_of_another_covariance_is_noticed",
    ),
]  # fmt: skip
