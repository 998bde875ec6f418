"""Faults in data, experiments, files, the registry, figures and the command line."""

from faults._mutation import Mutation

DATA = "tests/data/test_data_formulas.py"
DISK = "tests/test_disk.py"
REGISTRY = "tests/test_registry.py"
PLOTTING = "tests/test_plotting.py"
PICTURES = "tests/test_pictures.py"

FAULTS = [
    Mutation(
        "fields are refused without their names", "_kinds.py",
        'raise ValueError(f"{what} {error};', 'raise ValueError(f"{error};',
        "tests/test_fields.py::test_another_kind_is_refused_by_name",
    ),
    Mutation(
        "labels without a sign", "networks/_conditioned.py",
        "leaf.astype(jnp.promote_types(leaf.dtype, jnp.int32))",
        "leaf.astype(jnp.int8).astype(jnp.int32)",
        "tests/training/test_conditional_flows.py::test_labels_of_any_whole_type_are_dropped_alike",
    ),
    Mutation(
        "pictures beside the report", "experiments/_html.py", 'src="data:image/png;base64,{data}"',
        'src="{alt}.png"',
        "tests/test_compare.py::test_a_report_is_one_page_that_needs_nothing_else",
    ),
    Mutation(
        "arrows of another time", "plotting/_fields.py", "flow.velocity(t, jnp",
        "flow.velocity(1 - t, jnp",
        PICTURES + "::test_arrows_are_the_flows_velocity",
    ),
    Mutation(
        "films of two pictures", "plotting/_animation.py", "for frame in [*range(frames),",
        "for frame in [0,",
        PICTURES + "::test_a_film_has_its_frames_and_nothing_is_left_of_one_that_is_refused",
    ),
    Mutation(
        "films end at once", "plotting/_animation.py", "*[frames - 1] * round(frames / seconds)]",
        "frames - 1]",
        PICTURES + "::test_a_film_is_an_mp4_of_its_frames",
    ),
    Mutation(
        "stiff is soft", "plotting/_conditional.py", "order = np.argsort(values, axis=1)",
        "order = np.argsort(-values, axis=1)",
        PICTURES + "::test_eigenspaces_of_a_ring_are_its_radii_and_tangents",
    ),
    Mutation(
        "rates of other modes", "plotting/_spectra.py",
        "values = np.take_along_axis(values, order, axis=1)", "values = values[:, ::-1]",
        PICTURES + "::test_spectra_are_quantiles_over_points_mode_by_mode",
    ),
    Mutation(
        "a corner of the first coordinates", "plotting/_corner.py",
        'f"$x_{{{k + 1}}}$ [{unit}]" for k in chosen',
        'f"$x_{{{k + 1}}}$ [{unit}]" for k in range(len(chosen))',
        PICTURES + "::test_a_corner_has_a_panel_for_every_pair",
    ),
    Mutation(
        "losses of any length", "plotting/_losses.py", "if not known:", "if False:",
        PICTURES + "::test_losses_need_one",
    ),
    Mutation(
        "points on the ring's bottom", "plotting/_paper.py",
        "energy, radius = Ring(radius=2.0, width=0.25), 2.15",
        "energy, radius = Ring(radius=2.0, width=0.25), 2.0",
        PICTURES + "::test_figure_2_shows_eigenvalues_that_do_not_turn",
    ),
    Mutation(
        "curves by colour alone", "plotting/_style.py", "_MARKERS[k % len(_MARKERS)]", "_MARKERS[0]",
        PICTURES + "::test_curves_differ_by_more_than_colour",
    ),
    Mutation(
        "figures of any suffix", "_pictures.py", "if file.suffix not in (", "if file.suffix == (" ,
        PICTURES + "::test_the_command_draws_the_papers_figures_or_says_what_is_wrong",
    ),
    Mutation(
        "a line of progress that stays empty", "_notebook.py", "self._shown.text = text", "pass",
        "tests/test_reprs.py::test_a_notebook_without_widgets_gets_a_line_and_no_warning",
    ),
    Mutation(
        "long arrays printed whole", "_summaries.py", "value.size <= _FEW and", "",
        "tests/test_reprs.py::test_a_component_says_the_numbers_it_was_made_with",
    ),
    Mutation(
        "parameters counted by array", "_summaries.py", "sum(int(np.prod(leaf.shape)) for", "sum(1 for",
        "tests/test_reprs.py::test_a_flow_says_its_parts_and_how_many_parameters_it_has",
    ),
    Mutation(
        "a checksum that nobody looks at", "_disk/_modules.py",
        "version > 2 and manifest", "version == 0 and manifest",
        "tests/disk/test_trust.py::test_content_that_is_not_that_of_its_checksum_is_refused",
    ),
    Mutation(
        "trust of what a package has imported", "_disk/_names.py",
        "if found is not None and not _within(home, trust)", "if False",
        "tests/disk/test_trust.py::test_trust_is_of_what_a_package_defines_not_of_what_it_imports",
    ),
    Mutation(
        "test points share the training points' chains", "experiments/_data.py",
        "for key, number in zip(keys, (size, test), strict=True)",
        "for key, number in zip((keys[0], keys[0]), (size, test), strict=True)",
        "tests/test_experiment.py::test_test_points_are_of_chains_of_their_own",
    ),
    Mutation(
        "resuming forgets other seeds", "experiments/_run_folder.py",
        '"seeds": sorted({*before.get("seeds", ()), *seeds})', '"seeds": sorted(seeds)',
        "tests/test_experiment.py::test_a_run_folder_takes_further_seeds",
    ),
    Mutation(
        "sampler climbs", "data/_hmc.py", "lambda x: -energy(x), step", "lambda x: -2 * energy(x), step",
        "tests/data/test_sampler.py::test_hmc_finds_the_virial_of_a_gaussian",
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
        "control variate of the wrong sign", "experiments/_member.py",
        "self.nll - self.control.luck", "self.nll + self.control.luck",
        "tests/test_compare.py::"
        "test_the_energy_as_control_variate_moves_the_nll_by_the_test_points_luck",
    ),
    Mutation(
        "validation points are test points", "experiments/_data.py",
        'key = jax.random.fold_in(jax.random.key(table.pop("seed", seed)), _VALIDATION)',
        'key = jax.random.split(jax.random.key(table.pop("seed", seed)))[0]',
        "tests/test_compare.py::test_validation_points_are_a_draw_of_their_own",
    ),
    Mutation(
        "the worst of a family", "experiments/_comparison.py", "return min(groups, key=nll)",
        "return max(groups, key=nll)",
        "tests/test_compare.py::test_a_familys_best_is_chosen_by_validation",
    ),
    Mutation(
        "a variant sees all data", "experiments/_train.py", "arm.seen(train_set[: arm.size])",
        "arm.seen(train_set)",
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
        "self.points[:size], key=self._key", "self.points, key=self._key",
        "tests/test_image_experiments.py::test_a_fit_sees_the_training_points_of_its_arm_only",
    ),
    Mutation(
        "validation images are trained on", "experiments/_image_data.py",
        "labels, order[held : held + size], keys", "labels, order[:size], keys",
        "tests/test_image_experiments.py::test_images_are_split_into_disjoint_parts",
    ),
    Mutation(
        "zero is positive", "_checks.py", "(np.isfinite(value) & (value > 0))",
        "(np.isfinite(value) & (value >= 0))",
        "tests/priors/test_priors.py::test_bad_arguments_are_refused_with_the_cure",
    ),
    Mutation(
        "a preset outvotes what is given beside it", "_presets.py",
        "{**cls.preset_arguments(name), **overrides}", "{**overrides, **cls.preset_arguments(name)}",
        REGISTRY + "::test_other_settings_than_a_presets_are_another_energy",
    ),
    Mutation(
        "a preset gives way to what the caller knows", "registry.py",
        "if k in accepted and k not in given}", "if k in accepted and k not in arguments}",
        REGISTRY + "::test_context_does_not_change_a_preset",
    ),
    Mutation(
        "of two plug-ins the first", "registry.py", "for entry in claims}) > 1:",
        "for entry in claims}) > 2:",
        REGISTRY + "::test_a_broken_plugin_is_named_and_hides_nothing",
    ),
    Mutation(
        "any name may be taken", "registry.py", "if claimed or (taken and not redefinition):",
        "if claimed:",
        REGISTRY + "::test_registration_in_this_process_and_its_refusals",
    ),
    Mutation(
        "abstract classes are components", "registry.py", " or inspect.isabstract(cls):", ":",
        REGISTRY + "::test_registration_in_this_process_and_its_refusals",
    ),
    Mutation(
        "a truth value is a number", "_checks.py",
        "if isinstance(value, bool) or not isinstance(value, numbers.Integral)",
        "if not isinstance(value, numbers.Integral)",
        "tests/test_training.py::test_a_setting_of_another_kind_is_refused_by_name",
    ),
    Mutation(
        "infinity is a setting", "_checks.py", "if not math.isfinite(found) or not allowed(found):",
        "if not allowed(found):",
        "tests/test_training.py::test_a_setting_of_another_kind_is_refused_by_name",
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
        "functions without what they close over", "_disk/_fingerprint.py",
        "[_held(cell) for cell in function.__closure__ or ()]", "[]",
        DISK + "::test_fingerprints_tell_apart",
    ),
    Mutation(
        "functions without their defaults", "_disk/_fingerprint.py",
        "(function.__defaults__, function.__kwdefaults__, cells)", "cells",
        DISK + "::test_fingerprints_tell_apart",
    ),
    Mutation(
        "functions without the globals that they read", "_disk/_fingerprint.py",
        "for name, item in read.items() if item is not None", "for name, item in read.items() if False",
        DISK + "::test_fingerprints_tell_apart",
    ),
    Mutation(
        "classes without their source", "_disk/_fingerprint.py",
        "            if file is not None:\n                yield file.read_bytes()\n",
        "            if file is not None:\n",
        DISK + "::test_an_edited_class_is_another_one",
    ),
    Mutation(
        "code of a session lasts", "_disk/_fingerprint.py",
        "if self.by_source and not self.unknown else None", "if not self.unknown else None",
        DISK + "::test_what_was_typed_into_a_session_names_nothing_that_lasts",
    ),
    Mutation(
        "structures hold numbers", "_disk/_fingerprint.py",
        '("array", leaf.shape, str(leaf.dtype)) if', "leaf if",
        DISK + "::test_a_structure_forgets_numbers_alone",
    ),
    Mutation(
        "functions without their constants", "_disk/_fingerprint.py",
        "        yield from self.value(code.co_consts)\n", "",
        DISK + "::test_fingerprints_tell_apart",
    ),
    Mutation(
        "the cache forgets chains", "data/_cache.py",
        'return Samples(points, stored.get("chains"), report)', "return Samples(points, None, report)",
        "tests/data/test_sampler.py::test_cache_returns_the_same_samples_without_sampling",
    ),
    Mutation(
        "a report of independent samples", "data/_report.py", "mean_over_chains(values, chains)",
        "mean_over_chains(values)",
        DATA + "::test_a_report_is_of_the_samples_and_their_chains",
    ),
    Mutation(
        "chains of neighbours", "data/_sampler.py", "np.arange(size) % settings.chains",
        "np.arange(size) // settings.chains",
        DATA + "::test_a_report_is_of_the_samples_and_their_chains",
    ),
    Mutation(
        "training and test change places", "data/_samples.py",
        "return self[order[~held_out]], self[order[held_out]]",
        "return self[order[held_out]], self[order[~held_out]]",
        "tests/data/test_samples.py::test_split_keeps_chains_whole_where_it_can",
    ),
    Mutation(
        "the error of one chain's sum", "_statistics.py", "np.sum(sums**2) * number / (number - 1)",
        "np.sum(sums**2)",
        DATA + "::test_over_chains_the_error_is_that_of_their_sums",
    ),
    Mutation(
        "alpha on one side", "data/_images.py", "p = self.alpha + (1 - 2 * self.alpha) * u",
        "p = self.alpha + (1 - self.alpha) * u",
        DATA + "::test_pixels_are_the_logit_of_a_shrunk_cube",
    ),
    Mutation(
        "an arm's own tables don't count", "experiments/_arm.py",
        '{"[training]": shared, **dict(_own_tables(experiment, arm, "training"))}',
        '{"[training]": shared}',
        "tests/test_compare.py::test_variants_change_what_they_name",
    ),
    Mutation(
        "any test points are compared", "experiments/_member.py", "!= (member.test, known):",
        "== (0, 0):",
        "tests/test_compare.py::test_test_points_that_cant_be_made_again_are_refused",
    ),
    Mutation(
        "evaluation ignores its settings", "experiments/_evaluate.py",
        "chains=chains, condition=condition, **settings)",
        "chains=chains, condition=condition)",
        "tests/test_compare.py::"
        "test_a_run_on_its_own_test_points_scores_what_it_scored_in_training",
    ),
    Mutation(
        "curves of one point", "experiments/_figures.py",
        "len(member.history) > 1", "len(member.history) > 0",
        "tests/test_compare.py::test_variants_are_trained_and_set_in_one_table",
    ),
    Mutation(
        "variants without a table of their own", "experiments/_page.py",
        'if any(row["variant"] for row in rows):', 'if not any(row["variant"] for row in rows):',
        "tests/test_compare.py::test_variants_are_trained_and_set_in_one_table",
    ),
    Mutation(
        "errors over points in place of seeds", "_statistics.py",
        "    if number > 1:\n        parts", "    if number < 1:\n        parts",
        "tests/test_statistics.py::test_seeds_with_points_of_their_own_are_covered[10]",
    ),
    Mutation(
        "a variant's training gives way", "experiments/_toml.py",
        "{**arm.get(\"training\", {}), **variant.get(\"training\", {})}",
        "{**variant.get(\"training\", {}), **arm.get(\"training\", {})}",
        "tests/test_compare.py::test_variants_change_what_they_name",
    ),
    Mutation(
        "bands of a spread", "_statistics.py", "np.var(means, ddof=1)) / number",
        "np.var(means, ddof=1))",
        f"{PLOTTING}::test_several_seeds_are_their_mean_with_an_error_over_seeds_and_points",
    ),
    Mutation(
        "bands as if all seeds had the same points", "plotting/_comparisons.py",
        "[0] * len(seeds) if same_points", "[0] * len(seeds) if True",
        f"{PLOTTING}::test_several_seeds_are_their_mean_with_an_error_over_seeds_and_points",
    ),
    Mutation(
        "a surface on its side", "plotting/_samples.py", "*found.edges, values.T,",
        "*found.edges[::-1], values,",
        "tests/test_plotting.py::"
        "test_a_surface_is_drawn_first_observable_across_and_with_its_errors",
    ),
    Mutation(
        "errors of a solver without pairs", "plotting/_comparisons.py",
        "abs(np.mean(exact - np.asarray(row[\"log_prob\"])))",
        "np.mean(abs(exact - np.asarray(row[\"log_prob\"])))",
        "tests/test_plotting.py::test_errors_of_a_solver_are_means_of_paired_differences",
    ),
    Mutation(
        "a finished run whose history was changed", "experiments/_finished.py",
        "        files += [flow.parent / \"history.jsonl\", flow.parents[1] / \"data.json\"]\n",
        "        files += [flow.parents[1] / \"data.json\"]\n",
        "tests/test_experiment.py::test_what_changed_in_a_finished_run_is_made_anew",
    ),
    Mutation(
        "compiled code of another processor", "_compilation.py", "\"flags\", ", "",
        "tests/test_compilation.py::test_code_is_kept_apart_by_processor",
    ),
    Mutation(
        "help that waits for JAX", "_shell.py", "import typer\n", "import jax\nimport typer\n",
        "tests/test_start.py::test_what_needs_no_numbers_needs_no_jax",
    ),
    Mutation(
        "names that no list has", "_index.py", r'\.register\(\s*"([^"]+)"', r'\.register\("([a-z]+)"',
        "tests/test_start.py::test_names_that_are_read_from_the_source_are_those_that_register",
    ),
    Mutation(
        "arms that failed exit well", "cli.py", "                sys.exit(1)",
        "                sys.exit(0)",
        "tests/test_lost_arms.py::test_one_diverging_arm_leaves_the_others_alone",
    ),
    Mutation(
        "broken laws exit well", "_checking.py", "for law in found.laws):\n            sys.exit(1)",
        "for law in found.laws):\n            sys.exit(0)",
        "tests/testing/test_any.py::test_the_shell_fails_where_a_law_is_broken",
    ),
    Mutation(
        "control variates of few points only", "experiments/_compare.py",
        "if points.shape[0] <= test.shape[0]:", "if points.shape[0] > test.shape[0]:",
        "tests/test_compare.py::"
        "test_the_energy_as_control_variate_moves_the_nll_by_the_test_points_luck",
    ),
    Mutation(
        "two seeds are one", "experiments/_caption.py", "if seeds > 1", "if seeds > 2",
        "tests/test_experiment.py::test_several_seeds_give_an_error_over_seeds_and_points",
    ),
    Mutation(
        "numbers without what they refer to", "experiments/_show.py",
        "    console.print(comparison.caption, markup=False, soft_wrap=True, highlight=False)\n", "",
        "tests/test_experiment.py::test_train_evaluate_and_sample",
    ),
    Mutation(
        "rows without their edges", "experiments/_tables.py", "f\"| {' | '.join(line)} |\"",
        "f\"{' | '.join(line)}\"",
        "tests/test_compare.py::test_the_command_writes_page_numbers_and_figures",
    ),
    Mutation(
        "chains are lost on the way", "data/_load.py",
        "_Part(path, Samples(points, chains, origin=origin),",
        "_Part(path, Samples(points, None, origin=origin),",
        "tests/data/test_samples.py::test_a_saved_set_is_loaded_as_it_was",
    ),
    Mutation(
        "points leave their chains behind", "data/_samples.py", "else self.chains[index]",
        "else self.chains[: len(self.points[index])]",
        "tests/data/test_samples.py::test_slices_keep_points_and_chains_together",
    ),
    Mutation(
        "the cache takes any settings", "data/_sampler.py", "settings=_identity(settings)",
        "settings=None",
        "tests/data/test_sampler.py::test_cache_tells_energies_keys_and_settings_apart",
    ),
    Mutation(
        "arms of other training points in one folder", "experiments/_run_folder.py",
        '"training_points": "training points",', "",
        "tests/test_compare.py::test_a_run_takes_no_arms_of_other_points",
    ),
    Mutation(
        "the luck of shared test points averages out", "_statistics.py",
        "if tests[i] == tests[j]:", "if tests[i] != tests[j] or number == 1:",
        "tests/test_statistics.py::test_equal_seeds_are_one_seed",
    ),
    Mutation(
        "seeds that share some points share no luck", "_statistics.py",
        "elif one is not None and other is not None:", "elif False:",
        "tests/test_statistics.py::test_the_same_points_in_another_order_are_the_same_points",
    ),
    Mutation(
        "points of one file are those of no other seed", "experiments/_comparison.py",
        "chains, also, origins, levels)", "chains, also)",
        "tests/test_compare.py::test_seeds_that_share_some_points_of_a_file_share_their_luck",
    ),
    Mutation(
        "the mean energy of one file's points is of no other seed", "experiments/_comparison.py",
        "[each.pooled for each in known]", "None",
        "tests/test_compare.py::test_seeds_of_one_file_share_the_mean_energy_of_their_other_points",
    ),
    Mutation(
        "a family's arms are chosen over other seeds", "experiments/_comparison.py",
        "if len(group) == most]", "if group]",
        "tests/test_compare.py::test_a_familys_best_is_chosen_over_the_same_seeds",
    ),
    Mutation(
        "curves of several seeds forget chains", "plotting/_comparisons.py",
        'if "chains" in row else None', 'if "links" in row else None',
        "tests/test_plotting.py::test_curves_of_seeds_on_the_same_chains_have_errors_over_these",
    ),
    Mutation(
        "validation points bring their chains to the data", "_border.py",
        "if name == whose:", "if convert is points:",
        "tests/training/test_finish.py::test_validation_points_chains_are_not_the_datas",
    ),
    Mutation(
        "copies of points are new points", "_statistics.py",
        "np.arange(n) if chains is None else", "np.arange(n) if True else",
        "tests/test_statistics.py::test_copies_of_points_are_no_new_points",
    ),
    Mutation(
        "the probes' error for the NLL's", "experiments/_record.py",
        "{row['nll_se']:.3f}{probes}", "{row['probe_se']:.3f}{probes}",
        "tests/disk/test_locale.py::test_files_are_utf_8_where_the_locale_is_not",
    ),
    Mutation(
        "figures of another name", "experiments/_report.py", 'written(root / f"{name}.png"',
        'written(root / f"{name}-figure.png"',
        "tests/test_experiment.py::test_train_evaluate_and_sample",
    ),
]  # fmt: skip
