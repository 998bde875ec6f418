"""Faults in data that only seem to be what they are taken for, and in standardised coordinates."""

from faults._mutation import Mutation

SAMPLER = "tests/data/test_sampler.py"
FILES = "tests/test_own_files.py"
UNITS = "tests/test_standardisation.py"

TRAJECTORIES = "tests/data/test_trajectories.py::"

FAULTS = [
    Mutation(
        "an IDX file's axes turned",
        "data/_idx.py",
        ".view(dtype).reshape(shape)",
        ".view(dtype).reshape(shape[::-1])",
        "tests/data/test_images.py::test_idx_files_are_read_gzipped_or_not",
    ),
    Mutation(
        "conditions stay behind their points",
        "data/_samples.py",
        "else self.condition[index]",
        "else self.condition[: len(self.points[index])]",
        "tests/data/test_conditions_of_files.py::test_conditions_stay_with_their_points",
    ),
    Mutation(
        "frames stay where they were",
        "data/_load.py",
        "x - x.mean(axis=1, keepdims=True)",
        "x - 0 * x.mean(axis=1, keepdims=True)",
        TRAJECTORIES + "test_lengths_come_in_the_energys_unit",
    ),
    Mutation(
        "replicas are one chain",
        "data/_load.py",
        "count += len(names)",
        "count += 0",
        TRAJECTORIES + "test_every_file_is_a_chain",
    ),
    Mutation(
        "a crystal is taken for a molecule",
        "data/_whole.py",
        "contacts.min() <= 1.2 * longest",
        "contacts.min() <= 0.2 * longest",
        TRAJECTORIES + "test_what_is_no_molecule_in_a_cell_is_refused",
    ),
    Mutation(
        "any order of atoms will do",
        "data/_species.py",
        "if tuple(species) == tuple(wanted):",
        "if sorted(species) == sorted(wanted):",
        TRAJECTORIES + "test_other_atoms_are_refused_with_both_lists",
    ),
    Mutation(
        "elements of a program's file are lost",
        "data/_trajectory.py",
        "element in elements) if known else None",
        "element in elements) if not known else None",
        TRAJECTORIES + "test_files_of_mdtraj_come_back",
    ),
    Mutation(
        "frames in nm",
        "data/_atoms.py",
        "positions=x * scale",
        "positions=x",
        "tests/data/test_atoms.py::test_positions_are_in_angstrom_and_weights_in_info",
    ),
    Mutation(
        "lengths in nothing",
        "data/_lengths.py",
        "nearest * units.lengths_in",
        "0 * units.lengths_in",
        TRAJECTORIES + "test_a_factor_of_ten_is_named",
    ),
    Mutation(
        "an energy's own moves are forgotten",
        "data/_hmc.py",
        "state = _moved(energy, jax.random.fold_in(key_chains, 1), state)",
        "state = state",
        f"{SAMPLER}::test_moves_of_an_energy_carry_its_chains_over_barriers",
    ),
    Mutation(
        "chains on both sides of a split",
        "data/_samples.py",
        "order, side = np.concatenate([order[out][:n_test], order[~out]]), order[out]",
        "side = order",
        "tests/data/test_samples.py::test_no_chain_is_on_both_sides_of_a_split",
    ),
    Mutation(
        "labels are left in the file",
        "experiments/_evaluate.py",
        "return data.Samples(points, samples.chains)",
        "return data.Samples(points)",
        f"{FILES}::test_errors_of_training_and_evaluation_are_over_chains",
    ),
    Mutation(
        "test points that are training points",
        "experiments/_files.py",
        "if same or data.shared_points(train, test) == len(test):",
        "if same and len(test) < 0:",
        f"{FILES}::test_sizes_and_files_that_cannot_be_meant_are_refused",
    ),
    Mutation(
        "positions of what may be turned are compared",
        "data/_mixing.py",
        "> 1e-3 * (1 + jnp.abs(before).max())",
        "> 1e9 * (1 + jnp.abs(before).max())",
        f"{SAMPLER}::test_mixing_looks_at_what_the_group_leaves_unchanged",
    ),
    Mutation(
        "temperatures exchange whatever the energy",
        "data/_tempering.py",
        "gap = (beta[:-1] - beta[1:]) *",
        "gap = 0 * (beta[:-1] - beta[1:]) *",
        f"{SAMPLER}::test_tempered_chains_find_the_share_of_every_well",
    ),
    Mutation(
        "the first step isn't the one that was asked for",
        "data/_hmc.py",
        "jnp.log(jnp.asarray(settings.first_step, x.dtype))",
        "jnp.log(jnp.asarray(0.05, x.dtype))",
        f"{SAMPLER}::test_a_small_first_step_keeps_to_where_a_calculation_works",
    ),
    Mutation(
        "tempered chains don't move",
        "data/_tempering.py",
        "if isinstance(energy, SupportsMoves):",
        "if False:",
        f"{SAMPLER}::test_moves_of_an_energy_carry_its_chains_over_barriers",
    ),
    Mutation(
        "a start is never remembered",
        "data/_mixing.py",
        "if at[0] < _CORRELATED",
        "if at[0] < 1e9 * _CORRELATED",
        f"{SAMPLER}::test_chains_that_remember_their_start_are_told_of",
    ),
    Mutation(
        "grey levels in 0..1 pass for pixels",
        "data/_images.py",
        "return whole and (self",
        "return True or (self",
        "tests/data/test_images.py::test_pixels_that_are_not_whole_are_refused",
    ),
    Mutation(
        "log-determinant of all dimensions",
        "standardisation.py",
        "return null * jnp.mean(",
        "return 0 * null * jnp.mean(",
        f"{UNITS}::test_particles_keep_their_symmetry",
    ),
    Mutation(
        "densities in the prior's units",
        "flow.py",
        "result = (log_prob + log_det(flow), stats)",
        "result = (log_prob, stats)",
        f"{UNITS}::test_a_density_integrates_to_one_in_the_datas_units",
    ),
    Mutation(
        "the path's energy isn't seen through the units",
        "standardisation.py",
        "return self.energy(leaf) if isinstance(leaf, AbstractEnergy) else leaf",
        "return leaf",
        f"{UNITS}::test_a_path_sees_the_energy_in_standardised_coordinates",
    ),
    Mutation(
        "Hessians scaled on one side",
        "energies/_affine.py",
        "return scale[:, None] * inner * scale[None, :]",
        "return scale[:, None] * inner",
        f"{UNITS}::test_an_energy_in_other_units_has_their_gradient_and_hessian",
    ),
    Mutation(
        "gradients that aren't finite pass",
        "energies/_gradient.py",
        '(("energy", value), ("gradient", gradient))',
        '(("energy", value),)',
        f"{FILES}::test_a_gradient_that_is_not_finite_is_refused_before_training",
    ),
    Mutation(
        "near-copies pass for independent points",
        "data/_suspicions.py",
        "if share < 0.5:",
        "if share < 50:",
        "tests/data/test_samples.py::test_points_that_are_hardly_what_they_seem_are_told_of",
    ),
]
