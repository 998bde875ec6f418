"""Faults in data, experiments, files, the registry, figures and the command line."""

from faults._mutation import Mutation

DATA = "tests/data/test_data_formulas.py"
DISK = "tests/test_disk.py"

FAULTS = [
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
        "sampler climbs", "data/_hmc.py", "lambda x: -energy(x), step", "lambda x: -2 * energy(x), step",
        "tests/data/test_sampler.py::test_hmc_finds_the_moments_of_a_gaussian",
    ),
    Mutation(
        "virial without the projector's dimensions", "data/_virial.py",
        "return modes.shape[0] - modes.shape[1]", "return modes.shape[0]",
        "tests/data/test_virial.py::test_expected_virial_leaves_translations_out",
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
        "a variant sees all data", "experiments/_train.py", "seen = points[: arm.size]", "seen = points",
        "tests/test_compare.py::test_variants_are_trained_and_set_in_one_table",
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
    Mutation(
        "zero is positive", "_checks.py", "(np.isfinite(value) & (value > 0))",
        "(np.isfinite(value) & (value >= 0))",
        "tests/priors/test_priors.py::test_bad_arguments_are_refused_with_the_cure",
    ),
    Mutation(
        "a preset is an argument", "registry.py",
        "if \"preset\" in arguments and hasattr(cls, \"preset\"):",
        "if \"preset\" in arguments and cls is None:",
        "tests/test_registry.py::test_a_preset_is_named_in_the_table",
    ),
    Mutation(
        "what failed stays behind", "_disk/_atomic.py",
        "        temporary.unlink(missing_ok=True)\n", "",
        DISK + "::test_a_write_that_fails_leaves_what_was_there",
    ),
    Mutation(
        "arrays without their shape", "_disk/_fingerprint.py", "{array.dtype}{array.shape}",
        "{array.dtype}",
        DISK + "::test_fingerprints_tell_apart",
    ),
    Mutation(
        "functions without their constants", "_disk/_fingerprint.py",
        "        yield from self.value(code.co_consts)\n", "",
        DISK + "::test_fingerprints_tell_apart",
    ),
    Mutation(
        "tuples come back as lists", "_disk/_modules.py",
        "return tuple(_decode(item, arrays, path) for item in code[\"tuple\"])",
        "return [_decode(item, arrays, path) for item in code[\"tuple\"]]",
        DISK + "::test_a_module_in_a_file_comes_back_with_its_containers_and_types",
    ),
    Mutation(
        "any format is read", "_disk/_modules.py", "if version != FORMAT:",
        "if version < FORMAT:",
        DISK + "::test_a_file_of_another_format_is_refused",
    ),
    Mutation(
        "the cache forgets chains", "data/_cache.py", "return Samples(points, chains, report)",
        "return Samples(points, None, report)",
        "tests/data/test_sampler.py::test_cache_returns_the_same_samples_without_sampling",
    ),
    Mutation(
        "a report of independent samples", "data/_report.py", "mean_over_chains(values, chains)",
        "mean_over_chains(values)",
        DATA + "::test_a_report_is_of_the_samples_and_their_chains",
    ),
    Mutation(
        "chains of neighbours", "data/_sampler.py", "np.arange(size) % settings.chains",
        "np.arange(size) // draws",
        DATA + "::test_a_report_is_of_the_samples_and_their_chains",
    ),
    Mutation(
        "training and test change places", "data/_samples.py",
        "return self[order[~held_out]], self[order[held_out]]",
        "return self[order[held_out]], self[order[~held_out]]",
        "tests/data/test_samples.py::test_split_keeps_chains_whole_where_it_can",
    ),
    Mutation(
        "the error of one chain's sum", "data/_virial.py", "len(counts) / (len(counts) - 1)", "1",
        DATA + "::test_over_chains_the_error_is_that_of_their_sums",
    ),
    Mutation(
        "alpha on one side", "data/_images.py", "p = self.alpha + (1 - 2 * self.alpha) * u",
        "p = self.alpha + (1 - self.alpha) * u",
        DATA + "::test_pixels_are_the_logit_of_a_shrunk_cube",
    ),
    Mutation(
        "an arm's own tables don't count", "experiments/_arm.py",
        "return arm.get(name, experiment.tables.get(name, default))",
        "return experiment.tables.get(name, default)",
        "tests/test_compare.py::test_variants_change_what_they_name",
    ),
    Mutation(
        "any test points are compared", "experiments/_compare.py", ".digest != member.test:",
        ".digest == 0:",
        "tests/test_compare.py::test_test_points_that_cant_be_made_again_are_refused",
    ),
    Mutation(
        "evaluation ignores its settings", "experiments/_evaluate.py",
        "negative_log_likelihood(flow, points, **settings)",
        "negative_log_likelihood(flow, points[:1])",
        "tests/test_experiment.py::test_train_evaluate_and_sample",
    ),
    Mutation(
        "figures of the last seed only", "experiments/_figures.py",
        "if next(iter(first.values())).prior.event_shape == (2,):", "if not first:",
        "tests/test_experiment.py::test_train_evaluate_and_sample",
    ),
    Mutation(
        "signs of differences", "experiments/_page.py", "_SIGNED = \"{:+.3f}\"",
        "_SIGNED = \"{:.3f}\"",
        "tests/test_compare.py::test_the_command_writes_page_numbers_and_figures",
    ),
    Mutation(
        "spread of seeds, not of their mean", "experiments/_summary.py",
        "nll.std(ddof=1) / np.sqrt(len(nll))", "nll.std(ddof=1)",
        "tests/test_experiment.py::test_several_seeds_give_a_standard_error_over_seeds",
    ),
    Mutation(
        "a variant's training gives way", "experiments/_toml.py",
        "{**arm.get(\"training\", {}), **variant.get(\"training\", {})}",
        "{**variant.get(\"training\", {}), **arm.get(\"training\", {})}",
        "tests/test_compare.py::test_variants_change_what_they_name",
    ),
    Mutation(
        "bands of a spread", "plotting.py", "nll.std(axis=0, ddof=1) / np.sqrt(len(seeds))",
        "nll.std(axis=0, ddof=1)",
        "tests/test_plotting.py::test_several_seeds_are_their_mean_with_the_standard_error",
    ),
    Mutation(
        "errors of a solver without pairs", "plotting.py",
        "abs(np.mean(exact - np.asarray(row[\"log_prob\"])))",
        "np.mean(abs(exact - np.asarray(row[\"log_prob\"])))",
        "tests/test_plotting.py::test_errors_of_a_solver_are_means_of_paired_differences",
    ),
    Mutation(
        "broken laws exit well", "cli.py", "            sys.exit(1)", "            sys.exit(0)",
        "tests/testing/test_any.py::test_the_shell_fails_where_a_law_is_broken",
    ),
]  # fmt: skip
