"""Faults in Hessian providers and spectra."""

from faults._mutation import Mutation

PROVIDERS = "tests/hessians/test_hessian_formulas.py::test_a_provider_is_its_matrix"
FORMULAS = "tests/hessians/test_hessian_formulas.py"

FAULTS = [
    Mutation(
        "one neighbour's covariance divided by nothing", "hessians/_neighbours.py",
        "jnp.where(largest > jnp.finfo(spread.dtype).tiny, spread / largest, eye)",
        "spread / largest",
        "tests/hessians/test_neighbours.py::"
        "test_a_point_far_from_all_others_is_spread_alike_in_every_direction",
    ),
    Mutation(
        "a point among its own neighbours", "hessians/_neighbours.py",
        "squares <= (0 if exact", "squares < (0 if exact",
        "tests/hessians/test_neighbours.py::test_a_point_is_not_its_own_neighbour",
    ),
    Mutation(
        "neighbours as they lie", "hessians/_neighbours.py",
        "if isinstance(group, Trivial):", "if isinstance(group, AbstractGroup):",
        "tests/hessians/test_neighbours.py::test_neighbours_are_turned_to_the_point",
    ),
    Mutation(
        "neighbours in other units than their points", "hessians/_neighbours.py",
        "x, moved = scale * x + shift,", "x, moved = 1.0 * x,",
        "tests/hessians/test_neighbours.py::test_of_an_energy_in_other_units_points_are_in_its_own",
    ),
    Mutation(
        "all points for an arm of a few", "experiments/_fitted.py",
        "cls.fit(self.points[:size], group", "cls.fit(self.points, group",
        "tests/hessians/test_neighbours.py::test_the_arm_of_an_experiment_gives_its_points",
    ),
    Mutation(
        "transposed Q", "spectrum.py", "return jnp.matmul(self.vectors.T, y,",
        "return jnp.matmul(self.vectors, y,",
        "tests/test_spectrum.py::test_a_function_of_a_matrix_is_applied_to_its_eigenvalues",
    ),
    Mutation(
        "low rank forgets the rest", "spectrum.py",
        "scaled = (values[:-1] - values[-1]) * components", "scaled = values[:-1] * components",
        "tests/test_spectrum.py::test_low_rank_is_dense_with_equal_eigenvalues_for_the_rest",
    ),
    Mutation(
        "trace counts the rest once too often", "spectrum.py",
        "(self.size - self.vectors.shape[1]) * values[-1]",
        "(self.size - self.vectors.shape[1] + 1) * values[-1]",
        "tests/test_spectrum.py::test_combine_is_two_applications_and_total_is_the_trace",
    ),
    Mutation(
        "null modes stay in the spectrum", "hessians/_base.py",
        'mode="complete")[0][:, null.shape[1] :]', 'mode="complete")[0][:, null.shape[1] - 1 :]',
        "tests/paths/test_identities.py::test_the_density_of_particles_counts_the_free_dimensions_only",
    ),
    Mutation(
        "rotations get the map's rate", "spectrum.py",
        "return values if self.orbit is None else jnp.where(self.orbit, 1.0, values)", "return values",
        "tests/hessians/test_symmetry_projected.py::"
        "test_null_modes_relax_at_the_rate_of_optimal_transport",
    ),
    Mutation(
        "null modes by a threshold alone", "hessians/_symmetry_projected.py",
        "null = stretch <= self.tolerance * size", "null = stretch <= 1e3 * size",
        "tests/hessians/test_symmetry_projected.py::test_thermal_points_have_three_null_modes",
    ),
    Mutation(
        "Gauss-Newton with J Jᵀ's factor", "hessians/_gauss_newton.py",
        "return dense(singular**2, vectors)", "return dense(singular, vectors)",
        "tests/hessians/test_gauss_newton.py::test_it_is_exact_for_linear_residuals",
    ),
    Mutation(
        "the Hessian at the point, not the minimum", "hessians/_quenched.py",
        "return self.inner.spectrum(energy, self._minimum(energy, x))",
        "return self.inner.spectrum(energy, x)",
        "tests/energies/test_quench.py::"
        "test_the_quenched_spectrum_has_no_negative_mode_and_marks_rotations",
    ),
    Mutation(
        "Lanczos keeps what varies most", "hessians/_lanczos.py", "start = jnp.argmin(variances)",
        "start = jnp.argmax(variances)",
        "tests/hessians/test_lanczos.py::test_soft_modes_below_a_stiff_bulk_are_found",
    ),
    Mutation(
        "every point has the first basis", "hessians/_shared_basis.py", "else vectors[index]",
        "else vectors[0]",
        "tests/hessians/test_shared_basis.py::"
        "test_every_point_of_a_mixture_gets_the_precision_of_its_component",
    ),
    Mutation(
        "analytic and its double", "hessians/_dense.py", "return symmetric(energy.hessian(x))",
        "return symmetric(2 * energy.hessian(x))",
        PROVIDERS + "[analytic]",
    ),
    Mutation(
        "blocks of the first coordinates", "hessians/_block_diagonal.py", ".at[start + i].set(1)",
        ".at[i].set(1)",
        PROVIDERS + "[block-diagonal]",
    ),
    Mutation(
        "a diagonal by unsigned probes", "hessians/_diagonal.py",
        "return total + z * product(z), None", "return total + product(z), None",
        FORMULAS + "::test_an_estimated_diagonal_is_off_by_averaged_signs_of_the_other_entries",
    ),
    Mutation(
        "the diagonal's neighbours", "hessians/_diagonal.py", ".at[i].set(1))[i]",
        ".at[i].set(1))[i - 1]",
        PROVIDERS + "[diagonal]",
    ),
    Mutation(
        "low rank keeps the largest", "hessians/_low_rank.py", "jnp.argsort(-jnp.abs(added))",
        "jnp.argsort(-added)",
        FORMULAS + "::test_low_rank_keeps_what_is_furthest_from_the_rest",
    ),
    Mutation(
        "stiff modes along the orbit", "hessians/_symmetry_projected.py",
        "jnp.where(orbit, 0.0, eigenvalues)", "eigenvalues",
        FORMULAS + "::test_null_modes_are_zero_and_the_others_are_those_of_the_matrix",
    ),
    Mutation(
        "dyads without the rest", "hessians/_base.py",
        "return rest * y + jnp.matmul(factors, along", "return y + jnp.matmul(factors, along",
        FORMULAS + "::test_a_shared_basis_is_the_precision_of_the_component",
    ),
]  # fmt: skip
