"""Small deliberate faults in the library, each of which a named test must catch.

    python tests/mutations.py                 # all, ten to twenty minutes on two cores
    python tests/mutations.py nfe translation # those whose name holds one of these words

Every fault is made in a copy of `src`, the named test is run against the copy, and it has to fail. A
fault that survives is printed, and the exit status is 1. `tests/test_mutations.py` keeps the list in
step with the source.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """In `file`, `old` (which occurs once) becomes `new`; `test` has to notice."""

    name: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = [
    # Groups
    Mutation(
        "rotation acts transposed", "groups/_rotation.py", "jnp.matmul(x, g.T,", "jnp.matmul(x, g,",
        "tests/groups/test_groups.py::test_rotation_acts_on_a_single_point",
    ),
    Mutation(
        "rotations keep their mirror images", "groups/_rotation.py",
        "g.at[:, 0].multiply(jnp.sign(jnp.linalg.det(g)))", "g",
        "tests/groups/test_groups.py::test_rotations_are_proper_unless_reflections_are_asked_for",
    ),
    Mutation(
        "tangents of the wrong sign", "groups/_rotation.py", ".set(-x[..., i])", ".set(x[..., i])",
        "tests/groups/test_groups.py::test_tangents_are_derivatives_of_finite_rotations",
    ),
    Mutation(
        "alignment mirrors", "groups/_rotation.py", "jnp.linalg.det(Vt) < 0", "jnp.linalg.det(Vt) < -2",
        "tests/groups/test_groups.py::"
        "test_proper_rotations_align_mirror_images_as_well_as_rotations_can",
    ),
    Mutation(
        "translation's missing projector", "groups/_translation.py",
        "return x - x.mean(0, keepdims=True)", "return x",
        "tests/groups/test_groups.py::"
        "test_null_modes_are_an_orthonormal_basis_of_what_projection_removes",
    ),
    Mutation(
        "permutations compose backwards", "groups/_permutation.py", "return h[g]", "return g[h]",
        "tests/groups/test_groups.py::test_composition_acts_as_successive_actions",
    ),
    Mutation(
        "species are mixed", "groups/_permutation.py",
        "shuffled[jnp.argsort(kinds[shuffled], stable=True)]", "shuffled",
        "tests/groups/test_groups.py::test_permutation_keeps_species_and_is_uniform_within_them",
    ),
    Mutation(
        "direct instead of semidirect product", "groups/_product.py",
        "            h = (*h[:-1], self._turn(g, h[-1]))", "            pass",
        "tests/groups/test_groups.py::test_euclidean_group_is_a_semidirect_product",
    ),
    Mutation(
        "a mirror doesn't reverse turns", "groups/_image.py", "-turn[None], turn[None]",
        "turn[None], turn[None]",
        "tests/groups/test_groups.py::test_finite_group_obeys_its_laws_and_has_its_order",
    ),
    # Priors
    Mutation(
        "centred prior counts all dimensions", "priors/_centred_normal.py",
        "free = (self.particles - 1) * self.dim", "free = self.particles * self.dim",
        "tests/priors/test_priors.py::test_density_is_the_gaussian_of_the_free_dimensions",
    ),
    Mutation(
        "centred prior isn't centred", "priors/_centred_normal.py",
        "return self.scale * (x - x.mean(0))", "return self.scale * x",
        "tests/priors/test_priors.py::test_samples_lie_in_the_projected_subspace",
    ),
    # Energies
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
        "trap not about the mean", "energies/_pairs.py", "(x - x.mean(0)) ** 2", "x ** 2",
        "tests/energies/test_energies.py::test_energy_is_invariant_under_its_group",
    ),
    # Spectra and Hessians
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
    # Times and paths
    Mutation(
        "cutoff is forgotten", "times/_transforms.py", "return cutoff + (1 - cutoff) * remaining",
        "return remaining + 0 * cutoff",
        "tests/testing/test_builtins.py::test_time_transform_obeys_its_laws",
    ),
    Mutation(
        "mean moves the wrong way", "paths/_base.py",
        "return frame.centre - self._apply(frame, alpha, frame.centre)",
        "return frame.centre + self._apply(frame, alpha, frame.centre)",
        "tests/paths/test_marginals.py::test_marginals_of_isotropic_paths",
    ),
    Mutation(
        "velocity forgets the moving mean", "paths/_base.py",
        "return drift - self._apply(frame, alpha_dot, frame.centre)", "return drift",
        "tests/paths/test_identities.py::test_the_conditional_flow_solves_its_own_velocity",
    ),
    Mutation(
        "density forgets log det", "paths/_base.py",
        "normaliser = frame.modes.total(jnp.log(sigma)) +", "normaliser = 0 * sigma.sum() +",
        "tests/paths/test_marginals.py::test_marginals_of_isotropic_paths",
    ),
    Mutation(
        "score of a scale instead of a variance", "paths/_base.py", "1 / sigma**2, x - self.mean",
        "1 / sigma, x - self.mean",
        "tests/testing/test_builtin_paths.py::test_isotropic_path_obeys_its_laws",
    ),
    Mutation(
        "divergence of the wrong sign", "paths/_base.py",
        "return frame.modes.total(sigma_dot / sigma)", "return -frame.modes.total(sigma_dot / sigma)",
        "tests/testing/test_builtin_paths.py::test_isotropic_path_obeys_its_laws",
    ),
    Mutation(
        "relaxed scale adds amplitudes", "paths/_spectral.py",
        "jnp.sqrt(gained * frame.variance + alpha**2 * self.prior_scale**2)",
        "jnp.sqrt(gained * frame.variance + alpha * self.prior_scale**2)",
        "tests/paths/test_identities.py::test_langevin_has_the_marginals_of_its_stochastic_dynamics",
    ),
    Mutation(
        "relaxed climbs the gradient", "paths/_end_laws.py", "centre = x1 - self.step *",
        "centre = x1 + self.step *",
        "tests/paths/test_identities.py::test_relaxed_end_law_leaves_a_gaussian_target_alone",
    ),
    Mutation(
        "temperature upside down", "paths/_end_laws.py",
        "1 / (self.beta * spectrum.curvature(self.curvature))",
        "self.beta / spectrum.curvature(self.curvature)",
        "tests/paths/test_identities.py::test_a_cold_langevin_path_is_the_deterministic_one",
    ),
    Mutation(
        "a draw still leans on the prior sample", "paths/_spectral.py",
        "centre=end, variance=None, components=None", "centre=end, components=None",
        "tests/paths/test_own_noise.py::test_the_end_law_is_right_for_every_prior",
    ),
    Mutation(
        "every prior is taken for normal", "paths/_noise.py",
        "_difference_from_normal(prior, scale) < 1e-3", "_difference_from_normal(prior, scale) > -1",
        "tests/paths/test_own_noise.py::test_the_end_law_is_right_for_every_prior",
    ),
    Mutation(
        "training forgets to draw", "training/_step.py", "if self.own_noise:",
        "if self.own_noise and self.ema > 1:",
        "tests/paths/test_own_noise.py::test_the_end_law_is_right_for_every_coupling",
    ),
    # Flow and likelihood
    Mutation(
        "log density of the wrong sign", "flow.py", "log_prob(x0) + jnp.mean(gained)",
        "log_prob(x0) - jnp.mean(gained)",
        "tests/test_flow.py::test_density_of_a_linear_field_is_the_transformed_gaussian",
    ),
    Mutation(
        "sampled density forgets the Jacobian", "flow.py", "log_prob(x0) - jnp.mean(gained)",
        "log_prob(x0)",
        "tests/test_flow.py::test_samples_carry_the_density_that_log_prob_gives",
    ),
    Mutation(
        "NFE off by one", "flow.py", "1 + steps * (stages - 1) if reuses",
        "steps * (stages - 1) if reuses",
        "tests/test_flow.py::test_nfe_is_what_a_counter_in_the_network_sees",
    ),
    Mutation(
        "NFE of accepted steps only", "flow.py", 'steps = stats["num_steps"]',
        'steps = stats["num_accepted_steps"]',
        "tests/test_flow.py::test_nfe_is_what_a_counter_in_the_network_sees",
    ),
    Mutation(
        "Hutchinson sums its probes", "flow.py", "+ jnp.mean(gained)",
        "+ jnp.sum(gained)",
        "tests/test_flow.py::test_hutchinson_averages_to_the_exact_density",
    ),
    Mutation(
        "EGNN's divergence lacks a term", "networks/_egnn_divergence.py",
        "shift = shift + received @ row.shift_by_message.sum(0).T", "shift = shift + 0 * received.sum()",
        "tests/networks/test_networks.py::test_egnn_divergence_is_trace_of_jacobian",
    ),
    # Training, couplings, data
    Mutation(
        "importance weights are dropped", "time_samplers/_samplers.py",
        "left ** (1 - self.power) / self.power",
        "jnp.ones(n)",
        "tests/test_training.py::test_time_samplers_keep_expectations",
    ),
    Mutation(
        "times reach one", "time_samplers/_samplers.py",
        "return jnp.minimum(times, 1 - jnp.finfo(times.dtype).epsneg)", "return times",
        "tests/test_training.py::test_time_samplers_keep_expectations",
    ),
    Mutation(
        "test points share the training points' chains", "experiments/_data.py",
        "for key, number in zip(keys, (size, test), strict=True)",
        "for key, number in zip((keys[0], keys[0]), (size, test), strict=True)",
        "tests/test_experiment.py::test_test_points_are_of_chains_of_their_own",
    ),
    Mutation(
        "resuming forgets other seeds", "experiments/_run_folder.py",
        '"seeds": sorted({*before, *seeds})', '"seeds": sorted(seeds)',
        "tests/test_experiment.py::test_a_run_folder_takes_further_seeds",
    ),
    Mutation(
        "kernels of the nearest centres lose digits", "energies/_kernel_density.py",
        "squares.at[nearest].set(direct)", "squares",
        "tests/energies/test_fitted.py::test_narrow_kernels_far_from_the_origin_keep_their_digits",
    ),
    Mutation(
        "a resumed run may change its path", "training/_fit.py",
        '"path": path,', '"path": type(path).__name__,',
        "tests/test_training.py::test_checkpoints_of_another_run_are_refused",
    ),
    Mutation(
        "every step draws the same batch", "training/_step.py",
        "key = jax.random.fold_in(self.key, step)", "key = jax.random.fold_in(self.key, 0 * step)",
        "tests/test_training.py::test_training_reaches_the_entropy_of_a_gaussian",
    ),
    Mutation(
        "assignment of columns to rows", "groups/_assignment.py",
        "jnp.zeros_like(columns).at[rows].set(columns)", "jnp.zeros_like(columns).at[columns].set(rows)",
        "tests/couplings/test_couplings.py::test_minibatch_ot_is_the_best_of_all_permutations",
    ),
    Mutation(
        "alignment gives up at once", "groups/_product.py", "(step < self.rounds) & (now < before)",
        "(step < 1) & (now < before)",
        "tests/couplings/test_couplings.py::test_alignment_goes_on_to_a_fixed_point",
    ),
    Mutation(
        "pool of another data point", "couplings/_precomputed.py", "return self.pool[row, column], x1",
        "return self.pool[row - 1, column], x1",
        "tests/couplings/test_couplings.py::"
        "test_precomputed_pairs_are_fixed_shorter_and_from_the_prior",
    ),
    Mutation(
        "sampler climbs", "data/_hmc.py", "lambda x: -energy(x), step", "lambda x: -2 * energy(x), step",
        "tests/data/test_sampler.py::test_hmc_finds_the_moments_of_a_gaussian",
    ),
    Mutation(
        "virial without the projector's dimensions", "data/_virial.py",
        "return modes.shape[0] - modes.shape[1]", "return modes.shape[0]",
        "tests/data/test_virial.py::test_expected_virial_leaves_translations_out",
    ),
    Mutation(
        "standard error of a sum", "_statistics.py", "np.std(values, ddof=1) / np.sqrt(n)",
        "np.std(values, ddof=1)",
        "tests/test_metrics.py::test_standard_error_is_that_of_the_mean",
    ),
    # Comparisons, weights, minima
    Mutation(
        "weights of the inverse ratio", "metrics.py",
        "return -np.asarray(self.energies, np.float64) - np.asarray(self.log_prob, np.float64)",
        "return np.asarray(self.energies, np.float64) + np.asarray(self.log_prob, np.float64)",
        "tests/test_metrics.py::test_free_energy_and_means_are_the_targets_within_their_errors",
    ),
    Mutation(
        "free energy without the mean", "metrics.py",
        "np.log(np.mean(np.exp(self.log_weights - top)))",
        "np.log(np.sum(np.exp(self.log_weights - top)))",
        "tests/test_metrics.py::test_free_energy_and_means_are_the_targets_within_their_errors",
    ),
    Mutation(
        "unpaired differences", "experiments/_comparison.py", "points = [mine.nll - other.nll",
        "points = [mine.nll - other.nll[::-1]",
        "tests/test_compare.py::test_differences_are_paired_over_points_and_seeds",
    ),
    Mutation(
        "control variate of the wrong sign", "experiments/_comparison.py",
        "self.nll - self.energies + self.mean_energy", "self.nll + self.energies - self.mean_energy",
        "tests/test_compare.py::"
        "test_the_energy_as_control_variate_moves_the_nll_by_the_test_points_luck",
    ),
    Mutation(
        "validation points are test points", "experiments/_data.py",
        'key = jax.random.fold_in(jax.random.key(table.pop("seed", seed)), 1)',
        'key = jax.random.split(jax.random.key(table.pop("seed", seed)))[0]',
        "tests/test_compare.py::test_validation_points_are_a_draw_of_their_own",
    ),
    Mutation(
        "the worst of a family", "experiments/_comparison.py", "best.append(min(group,",
        "best.append(max(group,",
        "tests/test_compare.py::test_a_familys_best_is_chosen_by_validation",
    ),
    Mutation(
        "an end at the point, not the minimum", "paths/_at_minimum.py",
        "return self.inner.anchor(minimum)", "return self.inner.anchor(x1)",
        "tests/energies/test_quench.py::"
        "test_at_minimum_ends_around_the_minimum_with_its_own_modes",
    ),
    Mutation(
        "the Hessian at the point, not the minimum", "hessians/_quenched.py",
        "return self.inner.spectrum(energy, self._minimum(energy, x))",
        "return self.inner.spectrum(energy, x)",
        "tests/energies/test_quench.py::"
        "test_the_quenched_spectrum_has_no_negative_mode_and_marks_rotations",
    ),
    Mutation(
        "augmentation turns the sample alone", "training/_step.py",
        "x, target = turn(draw.turns, x), turn(draw.turns, target)", "x = turn(draw.turns, x)",
        "tests/test_training.py::test_augmentation_turns_samples_and_targets_alike",
    ),
    Mutation(
        "pairs of another run", "training/_pairing.py", "if identity != self.identity:",
        "if not self.identity:",
        "tests/couplings/test_couplings.py::test_arms_that_draw_alike_share_their_pairs",
    ),
    Mutation(
        "a variant sees all data", "experiments/_train.py", "seen = points[: arm.size]", "seen = points",
        "tests/test_compare.py::test_variants_are_trained_and_set_in_one_table",
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
        "probe variance of one probe", "flow.py", "jnp.var(gained, ddof=1) / gained.size",
        "jnp.var(gained, ddof=1)",
        "tests/test_flow.py::test_probe_variance_is_that_of_the_estimate",
    ),
    Mutation(
        "bits forget the levels", "data/_images.py", " - z.size * jnp.log(1.0 * self.levels)", "",
        "tests/data/test_images.py::test_the_uniform_density_has_log2_levels_bits",
    ),
    Mutation(
        "scale missing from the Jacobian", "data/_images.py", "(1 - 2 * self.alpha) / self.scale)",
        "1 - 2 * self.alpha)",
        "tests/data/test_images.py::test_log_det_is_that_of_the_jacobian",
    ),
    Mutation(
        "an energy is fitted to all points", "experiments/_fitted.py",
        "self.points[:size], key=jax.random", "self.points, key=jax.random",
        "tests/test_image_experiments.py::test_a_fit_sees_the_training_points_of_its_arm_only",
    ),
    Mutation(
        "validation images are trained on", "experiments/_data.py", "train[order[held : held + size]]",
        "train[order[:size]]",
        "tests/test_image_experiments.py::test_images_are_split_into_disjoint_parts",
    ),
]  # fmt: skip


def apply(mutation: Mutation, folder: Path) -> None:
    """Make the fault in a copy of `src/hiflow`.

    **Raises:** `ValueError` unless the text to replace occurs exactly once.
    """
    file = folder / "hiflow" / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        raise ValueError(
            f"{mutation.name}: {mutation.old!r} occurs {text.count(mutation.old)} times"
        )
    file.write_text(text.replace(mutation.old, mutation.new))


def run(test: str, source: Path) -> int:
    """pytest's exit status with `source` in front of the installed package."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode


def main(words: list[str]) -> int:
    """Run the chosen faults; 1 if one survives or its test can't be run."""
    chosen = [m for m in MUTATIONS if not words or any(word in m.name for word in words)]
    survivors = 0
    for number, mutation in enumerate(chosen, 1):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "src", folder, dirs_exist_ok=True)
            apply(mutation, Path(folder))
            status = run(mutation.test, Path(folder))
        # 1 means that tests ran and failed; anything else is no evidence.
        verdict = "caught" if status == 1 else f"SURVIVED (pytest's exit status {status})"
        survivors += status != 1
        seconds = time.perf_counter() - begun
        test = mutation.test.rpartition("::")[2]
        print(
            f"{number:3d}/{len(chosen)} {verdict}: {mutation.name}, by {test} ({seconds:.0f} s)",
            flush=True,
        )
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
