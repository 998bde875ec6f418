"""Faults in energies and their fits."""

from faults._mutation import Mutation

VALUES = "tests/energies/test_energy_formulas.py::test_an_energy_is_its_formula"
HOST = "tests/energies/test_host.py::"
FORMULAS = "tests/energies/test_energy_formulas.py"

FAULTS = [
    Mutation(
        "a circle is cut opposite to its first gap", "energies/_wrapped.py",
        "widest = int(np.argmax(gaps))", "widest = 0",
        "tests/energies/test_wrapped.py::test_the_circle_is_cut_in_its_widest_gap",
    ),
    Mutation(
        "angles are fitted as they come", "energies/_wrapped.py",
        "cls(chosen.fit(inside, **given)", "cls(chosen.fit(points, **given)",
        "tests/energies/test_wrapped.py::test_the_variance_that_is_fitted_is_that_on_the_circle",
    ),
    Mutation(
        "a funnel without its norm", "energies/_funnel.py", "(D - 1) * x[0] / 2", "D * x[0] / 2",
        VALUES + "[funnel]",
    ),
    Mutation(
        "a lattice with edges", "energies/_lattice.py", "np.roll(np.eye(side), -1, axis=1)",
        "np.eye(side, k=1)",
        "tests/energies/test_energies.py::test_hessian_is_that_of_automatic_differentiation[phi4]",
    ),
    Mutation(
        "vibrations that turn a molecule", "energies/_normal_modes.py",
        "(np.sqrt(masses)[:, None] * motion).ravel()", "motion.ravel()",
        "tests/energies/test_normal_modes.py::test_vibrations_neither_move_nor_turn_a_molecule",
    ),
    Mutation(
        "events of whole numbers", "energies/_events.py", "x.astype(float)", "x.astype(jnp.float16)",
        "tests/energies/test_normal_modes.py::test_an_event_is_of_floats_in_its_own_precision",
    ),
    Mutation(
        "torsions of two wells", "energies/_bead_chain.py", "4 * cosine**3 - 3 * cosine",
        "2 * cosine**2 - 1", VALUES + "[bead chain]",
    ),
    Mutation(
        "angles from the other end of a bond", "energies/_bead_chain.py",
        "cosine = -_dot(b, c)", "cosine = _dot(b, c)", VALUES + "[bead chain]",
    ),
    Mutation(
        "moons as wide as they are long", "energies/_mixture_presets.py",
        "(np.eye(2) - across) / along**2", "(np.eye(2) - across) / width**2",
        "tests/energies/test_energies.py::test_moons_lie_along_half_circles",
    ),
    Mutation(
        "pair Hessian's diagonal blocks", "energies/_pairs.py", "* blocks.sum(1)[:, None] - blocks",
        "* blocks.sum(1)[:, None] + blocks",
        "tests/energies/test_energies.py::test_hessian_is_that_of_automatic_differentiation",
    ),
    Mutation(
        "the other convention of LJ13", "energies/_lennard_jones.py",
        "return self.epsilon * q3 * (q3 - 2)", "return self.epsilon * q3 * (q3 - 2) / 2",
        "tests/energies/test_energies.py::"
        "test_lj13_conventions_differ_by_a_factor_two_in_the_pair_sum",
    ),
    Mutation(
        "one kT of nobody's unit", "energies/_units.py",
        "BOLTZMANN * self.temperature * _known", "self.temperature * _known",
        "tests/energies/test_units.py::"
        "test_units_say_what_one_kt_is",
    ),
    Mutation(
        "forces of the host are gradients", "energies/_host_calls.py",
        "energy / self.scale, -force / self.scale", "energy / self.scale, force / self.scale",
        HOST + "test_values_and_derivatives_are_the_closed_form",
    ),
    Mutation(
        "a step in another unit than the host's", "energies/_host_calls.py",
        "(unit / (2 * h))", "(1 / (2 * h))",
        HOST + "test_values_and_derivatives_are_the_closed_form",
    ),
    Mutation(
        "the host is asked again", "energies/_host_cache.py",
        "self._held[key] = results\n", "pass\n",
        HOST + "test_costs_in_calls",
    ),
    Mutation(
        "a rule of three for one of steps", "energies/_host_energy.py",
        "np.abs(found - twice).max() / 3", "np.abs(found - twice).max() * 3",
        HOST + "test_the_error_of_differences_is_estimated",
    ),
    Mutation(
        "half a force", "energies/_host_derivatives.py",
        "jnp.sum(gradient * tangents[1])", "jnp.sum(gradient * tangents[1]) / 2",
        HOST + "test_values_and_derivatives_are_the_closed_form",
    ),
    Mutation(
        "another point failed", "energies/_host_naming.py", "np.argmin(offset)", "np.argmax(offset)",
        HOST + "test_the_point_of_the_data_that_fails_is_named",
    ),
    Mutation(
        "trap not about the mean", "energies/_pairs.py", "(x - x.mean(0)) ** 2", "x ** 2",
        "tests/energies/test_energies.py::test_energy_is_invariant_under_its_group",
    ),
    Mutation(
        "kernels of the nearest centres lose digits", "energies/_kernel_density.py",
        "squares.at[nearest].set(direct)", "squares",
        "tests/energies/test_fitted.py::test_narrow_kernels_far_from_the_origin_keep_their_digits",
    ),
    Mutation(
        "kernels of far clusters lose digits", "energies/_kernel_density.py",
        "jnp.round(c / step), jnp.round(z / step)", "0 * c, 0 * z",
        "tests/energies/test_fitted.py::"
        "test_kernels_of_clusters_that_are_far_apart_keep_their_digits",
    ),
    Mutation(
        "of many points the first are looked at", "_statistics.py",
        "np.linspace(0, n - 1, min(n, most)).astype(int)", "np.arange(min(n, most))",
        "tests/energies/test_fitted.py::"
        "test_the_order_of_the_points_is_no_matter_of_the_bandwidth",
    ),
    Mutation(
        "a surface whose third well isn't tilted", "energies/_muller_brown.py",
        "[[-13.0, 11.0], [11.0, -13.0]]", "[[-13.0, 0.0], [0.0, -13.0]]",
        VALUES + "[Muller-Brown]",
    ),
    Mutation(
        "a barrier of the second power", "energies/_double_well.py",
        "return self.barrier * (z**2 - 1) ** 2", "return self.barrier * (z - 1) ** 2",
        VALUES + "[double well]",
    ),
    Mutation(
        "pairs without a quartic", "energies/_double_well_particles.py",
        "self.b * z**2 + self.c * z**4", "self.b * z**2 + self.c * z**3",
        VALUES + "[dw4]",
    ),
    Mutation(
        "Lennard-Jones of diameter, not minimum", "energies/_lennard_jones.py",
        "return self.epsilon * q3 * (q3 - 2)", "return 4 * self.epsilon * q3 * (q3 - 1)",
        VALUES + "[lj13]",
    ),
    Mutation(
        "a trap without its half", "energies/_pairs.py", "self.trap / 2 * jnp.sum",
        "self.trap * jnp.sum",
        VALUES + "[lj13]",
    ),
    Mutation(
        "every pair of many twice", "energies/_pairs.py", "pairs).sum() / 2 + trap",
        "pairs).sum() + trap",
        VALUES + "[lj55]",
    ),
    Mutation(
        "a constant instead of the tangent", "energies/_radial.py",
        "slope(core) * jnp.minimum(s - core, 0)", "0 * s",
        FORMULAS + "::test_below_the_core_an_energy_is_its_tangent_in_the_squared_distance",
    ),
    Mutation(
        "a ring without its half", "energies/_ring.py",
        "(jnp.sqrt(s) - self.radius) ** 2 / (2 * self.width**2)",
        "(jnp.sqrt(s) - self.radius) ** 2 / self.width**2",
        VALUES + "[ring]",
    ),
    Mutation(
        "a Gaussian without its half", "energies/_gaussian.py",
        "times(self.precision, z), precision=\"highest\") / 2",
        "times(self.precision, z), precision=\"highest\")",
        VALUES + "[gaussian]",
    ),
    Mutation(
        "a batch of factors, which can deadlock", "energies/_gaussian_mixture.py",
        "jax.lax.map(inverse_root, self._each_precision())",
        "jax.vmap(inverse_root)(self._each_precision())",
        "tests/test_batches.py::test_factors_and_solves_are_of_one_matrix[mixture]",
    ),
    Mutation(
        "a mixture normalised in one dimension", "energies/_gaussian_mixture.py",
        "norm - self._dim * jnp.log(2 * jnp.pi)", "norm - jnp.log(2 * jnp.pi)",
        VALUES + "[mixture]",
    ),
    Mutation(
        "entropy by the density itself", "energies/_gaussian_mixture.py",
        "total -= w[k] * float(weight @ log_p)", "total -= float(weight @ log_p) / len(w)",
        FORMULAS + "::test_the_entropy_is_that_of_a_fine_grid[mixture]",
    ),
    Mutation(
        "kernels that aren't normalised", "energies/_kernel_density.py",
        "constant + math.log(n) -", "constant -",
        VALUES + "[kernel density]",
    ),
    Mutation(
        "the bandwidth counts itself", "energies/_kernel_density.py", ".at[i].set(jnp.inf)",
        ".at[i].set(1e-3)",
        FORMULAS + "::test_the_bandwidth_has_the_largest_leave_one_out_likelihood",
    ),
    Mutation(
        "noise in all directions", "energies/_factored.py", "(dim - k) * jnp.log(noise)",
        "dim * jnp.log(noise)",
        VALUES + "[fitted gaussian]",
    ),
    Mutation(
        "a covariance of n - 1", "energies/_fitted_gaussian.py", "covariance += z.T @ z / n",
        "covariance += z.T @ z / (n - 1)",
        FORMULAS + "::test_a_fitted_gaussian_is_the_principal_components",
    ),
    Mutation(
        "a floor of the second moment", "energies/_fitting.py", "(points - points.mean(0)) ** 2",
        "points**2",
        FORMULAS + "::test_the_floor_is_a_share_of_the_mean_variance",
    ),
    Mutation(
        "the least responsible component", "energies/_fitted_mixture.py",
        "return jnp.argmax(self._log_joint(x))", "return jnp.argmin(self._log_joint(x))",
        "tests/hessians/test_shared_basis.py::test_every_point_of_a_mixture_gets_the_precision_of_its_component",
    ),
    Mutation(
        "one pseudo-point too many", "energies/_expectation_maximisation.py", "prior = rank + 1",
        "prior = rank + 2",
        FORMULAS + "::test_one_epoch_of_a_mixture_is_expectation_maximisation",
    ),
    Mutation(
        "the last batch counts twice", "energies/_expectation_maximisation.py",
        "new = start + jnp.arange(batch_size) >= i * batch_size",
        "new = jnp.arange(batch_size) >= 0",
        FORMULAS + "::test_one_epoch_of_a_mixture_is_expectation_maximisation",
    ),
    Mutation(
        "a network on a wider Gaussian", "energies/_energy_network.py",
        "return jnp.sum(z**2) / 2 + self.layers", "return jnp.sum(z**2) / 3 + self.layers",
        VALUES + "[energy network]",
    ),
    Mutation(
        "noise adds its deviation", "energies/_energy_network.py",
        "spread * jnp.sqrt(1 + sigma**2)", "spread * (1 + sigma)",
        FORMULAS + "::test_a_network_is_compared_with_the_gaussian_of_the_blurred_data",
    ),
    Mutation(
        "a function's negative", "energies/_function.py", "return self.function(x)",
        "return -self.function(x)",
        VALUES + "[function]",
    ),
    Mutation(
        "a file of another thing is misnamed", "energies/_files.py",
        "holds a {type(energy).__name__}", "holds a {type(path).__name__}",
        "tests/energies/test_fitted.py::test_a_file_of_something_else_is_refused",
    ),
    Mutation(
        "quenched to half the minimum", "energies/_descent.py",
        "return x + energy.group.project(way)", "return x + energy.group.project(way) / 2",
        "tests/energies/test_quench.py::test_a_gaussian_is_quenched_to_its_mean",
    ),
    Mutation(
        "quenched where the origin counts", "energies/_descent.py",
        "centred = energy.group.project(x)", "centred = x",
        "tests/energies/test_quench.py::test_the_origin_does_not_matter_in_single_precision",
    ),
    Mutation(
        "a lane takes a point that another has", "energies/_lanes.py",
        "following = coming + jnp.cumsum(done) - 1", "following = coming + jnp.cumsum(done)",
        "tests/energies/test_quench.py::test_searches_that_wait_for_a_lane_end_where_they_would_alone",
    ),
    Mutation(
        "steps that leap into other basins", "energies/_lanes.py", "_GROWTH = 2.0", "_GROWTH = 1e9",
        "tests/energies/test_quench.py::test_particles_end_in_the_basin_of_steepest_descent",
    ),
    Mutation(
        "a benchmark's entropy for other parameters", "energies/_conventions.py",
        "if known else None", "if self.presets else None",
        "tests/energies/test_energies.py::test_no_entropy_is_claimed_for_other_parameters",
    ),
    Mutation(
        "any parameters have a convention", "energies/_conventions.py",
        "if not self._agrees_with(meant):", "if not meant:",
        "tests/energies/test_energies.py::test_bad_arguments_are_refused_with_the_cure",
    ),
]  # fmt: skip
