"""Faults in spectral maps, times, time samplers, priors, couplings and divergences."""

from faults._mutation import Mutation

MAPS = "tests/spectral/test_spectral_formulas.py::test_a_map_is_its_formula"
TIMES = "tests/times/test_time_formulas.py::test_a_transform_is_its_formula"
COUPLINGS = "tests/couplings/test_coupling_formulas.py"
DIVERGENCES = "tests/divergences/test_divergence_formulas.py"
SAMPLERS = "tests/time_samplers/test_time_sampler_formulas.py"

FAULTS = [
    Mutation(
        "centred prior counts all dimensions", "priors/_centred_normal.py",
        "free = (self.particles - 1) * self.dim", "free = self.particles * self.dim",
        "tests/priors/test_priors.py::test_density_is_the_gaussian_of_the_free_dimensions",
    ),
    Mutation(
        "draws aren't moved by the group", "priors/_empirical.py",
        "return self.group.project(self.group.act(self.group.sample(k_group, self.event_shape), x))",
        "return self.group.project(x)",
        "tests/priors/test_drawn_priors.py::"
        "test_with_a_group_draws_are_spread_over_the_orbits_of_the_points",
    ),
    Mutation(
        "densities of draws alone aren't refused", "flow.py",
        'refuse_without_density(self.prior, "sample_and_log_prob")', "pass",
        "tests/priors/test_drawn_priors.py::test_densities_are_refused_with_what_to_do",
    ),
    Mutation(
        "a sampler's density is another's", "priors/_function.py", "return self.log_density(x)",
        "return 2 * self.log_density(x)",
        "tests/priors/test_drawn_priors.py::test_a_function_is_taken_at_its_word_and_checked",
    ),
    Mutation(
        "draws alone count as a density", "priors/_density.py",
        "return not isinstance(prior, SupportsDrawsAlone) or prior.has_density", "return True",
        "tests/priors/test_drawn_priors.py::test_a_function_is_taken_at_its_word_and_checked",
    ),
    Mutation(
        "diffusion starts at draws", "training/_draws_alone.py",
        'if getattr(path, "approximate_start", False):', "if False:",
        "tests/priors/test_drawn_priors.py::test_paths_that_need_a_normal_start_are_refused",
    ),
    Mutation(
        "distance of a flow with a density", "metrics/_held_out.py", "if has_density(flow.prior):",
        "if True:",
        "tests/priors/test_drawn_priors.py::test_validation_tells_the_distance_of_samples",
    ),
    Mutation(
        "moments of draws aren't held", "testing/_drawn_prior.py",
        "change_of_moments(prior, prior.group, key, x.shape[0]),", "0.0,",
        "tests/priors/test_drawn_priors.py::test_a_symmetry_that_the_draws_lack_is_refused",
    ),
    Mutation(
        "points of a file aren't projected", "experiments/_filed_prior.py",
        "jax.vmap(group.project)(found.points)", "jax.numpy.asarray(found.points)",
        "tests/test_from_data.py::test_particles_are_centred_by_the_group",
    ),
    Mutation(
        "centred prior isn't centred", "priors/_centred_normal.py",
        "return self.scale * (x - x.mean(0))", "return self.scale * x",
        "tests/priors/test_priors.py::test_samples_lie_in_the_projected_subspace",
    ),
    Mutation(
        "shuffled control depends on the basis", "spectral/_wrappers.py",
        "equal = gaps <= 1e-5 *", "equal = gaps <= 0 *",
        "tests/hessians/test_symmetry_projected.py::"
        "test_degenerate_eigenvalues_leave_no_trace_of_their_basis",
    ),
    Mutation(
        "trace isn't normalised", "spectral/_wrappers.py", "values / jnp.mean(values)",
        "values / jnp.max(values)",
        "tests/spectral/test_spectral_maps.py::test_normalised_rates_sum_to_the_dimension",
    ),
    Mutation(
        "cutoff is forgotten", "times/_transforms.py", "return cutoff + (1 - cutoff) * remaining",
        "return remaining + 0 * cutoff",
        "tests/testing/test_builtins.py::test_time_transform_obeys_its_laws",
    ),
    Mutation(
        "importance weights are dropped", "time_samplers/_samplers.py",
        "left ** (1 - self.power) / self.power",
        "jnp.ones(size)",
        "tests/test_training.py::test_time_samplers_keep_expectations",
    ),
    Mutation(
        "times reach one", "time_samplers/_samplers.py",
        "return jnp.minimum(times, 1 - jnp.finfo(times.dtype).epsneg)", "return times",
        "tests/test_training.py::test_time_samplers_keep_expectations",
    ),
    Mutation(
        "pool of another data point", "couplings/_precomputed.py", "return self.pool[row, column], x1",
        "return self.pool[row - 1, column], x1",
        "tests/couplings/test_couplings.py::"
        "test_precomputed_pairs_are_fixed_shorter_and_from_the_prior",
    ),
    Mutation(
        "absolute as a root of squares", "spectral/_pointwise.py",
        "return jnp.abs(eigenvalues) + self.shift",
        "return jnp.sqrt(eigenvalues**2 + self.shift**2)",
        MAPS + "[absolute]",
    ),
    Mutation(
        "power with twice the exponent", "spectral/_pointwise.py",
        "jnp.maximum(jnp.abs(eigenvalues), self.least) ** self.exponent",
        "jnp.maximum(jnp.abs(eigenvalues), self.least) ** (2 * self.exponent)",
        MAPS + "[power]",
    ),
    Mutation(
        "saturating at twice the stiffness", "spectral/_pointwise.py",
        "stiff / (stiff + self.stiffness)", "stiff / (stiff + 2 * self.stiffness)",
        MAPS + "[saturating]",
    ),
    Mutation(
        "all of a negative eigenvalue counts", "spectral/_affine_power.py",
        "-self.negative * eigenvalues, eigenvalues", "-eigenvalues, eigenvalues",
        MAPS + "[affine-power of six numbers]",
    ),
    Mutation(
        "null modes without a derivative", "spectral/_affine_power.py",
        "whole = jnp.where(soft, 1.0, s)", "whole = s",
        "tests/spectral/test_spectral_maps.py::"
        "test_numbers_of_affine_power_have_derivatives_even_at_null_modes",
    ),
    Mutation(
        "clamped from above", "spectral/_pointwise.py",
        "return jnp.maximum(eigenvalues, self.floor)",
        "return jnp.maximum(jnp.abs(eigenvalues), self.floor)",
        MAPS + "[clamped]",
    ),
    Mutation(
        "shifted twice", "spectral/_pointwise.py",
        "jnp.maximum(eigenvalues, self.least) + self.shift",
        "jnp.maximum(eigenvalues, self.least) + 2 * self.shift",
        MAPS + "[shifted]",
    ),
    Mutation(
        "the floor counts in full", "spectral/_wrappers.py",
        "return self.floor + (1 - self.floor) *", "return self.floor + 1.0 *",
        MAPS + "[trace-normalised]",
    ),
    Mutation(
        "raised to the inverse", "spectral/_wrappers.py",
        "return self.inner(eigenvalues) ** self.exponent",
        "return self.inner(eigenvalues) ** (1 / self.exponent)",
        MAPS + "[raised]",
    ),
    Mutation(
        "shuffled to the neighbour", "spectral/_wrappers.py", "max(1, eigenvalues.shape[0] // 2)",
        "1",
        MAPS + "[shuffled]",
    ),
    Mutation(
        "relaxation adds to the rate", "times/_base.py", "return self.remaining(t) ** rate",
        "return self.remaining(t) ** (rate + 1)",
        TIMES + "[log]",
    ),
    Mutation(
        "tau of the wrong sign", "times/_base.py", "return -jnp.log(self.remaining(t))",
        "return jnp.log(self.remaining(t))",
        TIMES + "[log]",
    ),
    Mutation(
        "every power is two", "times/_transforms.py", "1 - t**self.power", "1 - t**2",
        TIMES + "[polynomial, p = 3.5, cut]",
    ),
    Mutation(
        "physical time stops early", "times/_transforms.py", "return self.cutoff**t",
        "return self.cutoff ** (0.9 * t)",
        TIMES + "[linear]",
    ),
    Mutation(
        "normal of one dimension", "priors/_normal.py",
        "x.size * (jnp.log(2 * jnp.pi) / 2 + jnp.log(self.scale))",
        "x.size * jnp.log(2 * jnp.pi) / 2 - jnp.log(self.scale)",
        "tests/priors/test_prior_formulas.py::test_normal_is_the_gaussian_of_all_coordinates",
    ),
    Mutation(
        "independent pairs are swapped", "couplings/_independent.py", "return x0, x1",
        "return x1, x0",
        COUPLINGS + "::test_independent_pairs_stay_as_they_come",
    ),
    Mutation(
        "assignment of the inverse permutation", "couplings/_minibatch_ot.py",
        "assignment(squared_distances(x1, x0))", "assignment(squared_distances(x0, x1))",
        COUPLINGS + "::test_minibatch_ot_costs_what_scipys_assignment_costs",
    ),
    Mutation(
        "distances without the product", "_distances.py",
        "squares - 2 * jnp.matmul", "squares - 1 * jnp.matmul",
        COUPLINGS + "::test_squared_distances_are_those_of_all_pairs",
    ),
    Mutation(
        "aligned the other way round", "couplings/_symmetric.py",
        "group.act(group.align(x, y), x)", "group.act(group.align(y, x), x)",
        COUPLINGS + "::test_aligned_samples_are_the_nearest_of_their_orbit",
    ),
    Mutation(
        "the furthest of all starts", "couplings/_symmetric.py",
        "return ends[jnp.argmin(distances)]", "return ends[jnp.argmax(distances)]",
        "tests/couplings/test_couplings.py::test_more_starts_find_shorter_paths",
    ),
    Mutation(
        "blocks are left as they come", "couplings/_symmetric.py",
        "chosen = x0[assignment(kept_apart(jax.lax.map(row, x1), kinds))]", "chosen = x0",
        COUPLINGS + "::test_equivariant_ot_costs_the_assignment_of_least_distances_of_orbits",
    ),
    Mutation(
        "the sum of all derivatives", "divergences/_exact.py", "jnp.eye(x.size, dtype=x.dtype)",
        "jnp.ones((x.size, x.size), x.dtype)",
        DIVERGENCES + "::test_exact_is_the_trace_of_the_jacobian",
    ),
    Mutation(
        "probes multiply once", "divergences/_products.py", "jnp.sum(e * push(e))",
        "jnp.sum(push(e))",
        DIVERGENCES + "::test_hutchinson_is_the_quadratic_form_of_every_probe",
    ),
    Mutation(
        "probes aren't signs", "divergences/_hutchinson.py", "jax.random.rademacher(key",
        "jax.random.normal(key",
        DIVERGENCES + "::test_probes_are_signs",
    ),
    Mutation(
        "importance of the inverse power", "time_samplers/_samplers.py",
        "1 - (1 - uniform) ** (1 / self.power)", "1 - (1 - uniform) ** self.power",
        SAMPLERS + "::test_times_follow_the_distribution",
    ),
    Mutation(
        "late times of the other part", "time_samplers/_late.py",
        "jnp.where(parts < early, uniform, late)", "jnp.where(parts < early, late, uniform)",
        SAMPLERS + "::test_weights_are_the_objective_over_the_density",
    ),
    Mutation(
        "the likelihood's weight without its normalisation", "time_samplers/_late.py",
        "return jnp.log(1 / self.cutoff) - 1 + self.cutoff", "return jnp.log(1 / self.cutoff)",
        SAMPLERS + "::test_weights_are_the_objective_over_the_density",
    ),
    Mutation(
        "one stratum for all", "time_samplers/_samplers.py",
        "(jnp.arange(size) + jax.random.uniform(key, (size,))) / size",
        "jax.random.uniform(key, (size,))",
        SAMPLERS + "::test_times_follow_the_distribution",
    ),
    Mutation(
        "Hutchinson's probes in Hutch++", "divergences/_low_rank.py",
        "traceax.HutchPlusPlusEstimator(", "traceax.HutchinsonEstimator(",
        "tests/divergences/test_divergence_formulas.py::test_large_directions_are_taken_exactly",
    ),
    Mutation(
        "a dense Gaussian without its determinant", "priors/_gaussian.py",
        "-jnp.sum(z**2) / 2 - log_det -", "-jnp.sum(z**2) / 2 -",
        "tests/priors/test_gaussian_priors.py::test_the_density_is_the_formulas",
    ),
    Mutation(
        "particles' determinant in one dimension", "priors/_particle_gaussian.py",
        "log_det = self.dim * jnp.sum", "log_det = jnp.sum",
        "tests/priors/test_gaussian_priors.py::"
        "test_the_density_of_particles_is_that_on_the_centred_subspace",
    ),
    Mutation(
        "shrinkage of too many samples", "priors/_shrinkage.py", "- np.sum(S**2)) / n",
        "- np.sum(S**2))",
        "tests/priors/test_gaussian_priors.py::test_the_default_shrinkage_is_ledoit_and_wolfs",
    ),
    Mutation(
        "prior samples change their kind", "couplings/_base.py", "apart = kinds[:, None] != kinds",
        "apart = kinds[:, None] != kinds[:, None]",
        "tests/training/test_conditional_flows.py::"
        "test_within_kinds_every_kind_keeps_its_prior_samples",
    ),
]  # fmt: skip
