"""Faults in what is said of wrong arguments and files, and in what is done about arms that failed."""

from faults._mutation import Mutation

CONFIGURATIONS = "tests/test_configurations.py"
PLACES = CONFIGURATIONS + "::test_the_place_the_value_and_the_cure_are_said"
ARMS = "tests/test_lost_arms.py"

BEGINNINGS = "tests/test_beginnings.py::"

FAULTS = [
    Mutation(
        "a page tells what was chosen and not by what", "experiments/_chosen.py",
        '*row["why"][:-1]])', '*row["why"][-1:]])',
        "tests/test_auto.py::test_the_pages_tell_what_was_chosen_for_every_seed_and_why",
    ),
    Mutation(
        "every candidate of a tuned family counts", "experiments/_committed.py",
        'if not row["family"] or row["label"] in numbers["chosen"]', 'if row["label"]',
        "tests/test_committed.py::"
        "test_of_a_tuned_family_the_chosen_one_counts_with_its_seeds_in_order",
    ),
    Mutation(
        "the first seed alone must see every class", "experiments/_seen.py",
        "seeds[:1] if fixed else seeds", "seeds[:1]",
        "tests/test_conditional_experiments.py::test_every_seed_and_size_must_see_every_class",
    ),
    Mutation(
        "a network of other classes than the data's", "experiments/_condition.py",
        "if conditions.classes == len(condition.classes):", "if conditions.classes:",
        "tests/test_conditional_experiments.py::"
        "test_what_cannot_be_meant_is_refused_before_anything_is_written",
    ),
    Mutation(
        "evaluated frames are held against nothing", "experiments/_evaluate.py",
        "    hold_against_training(file, table, energy)\n", "",
        "tests/test_own_files.py::test_evaluated_frames_are_held_against_those_of_training",
    ),
    Mutation(
        "a console's table keeps its width", "experiments/_tables.py",
        "if sum(widths) <= room:", "if widths:",
        "tests/test_console_tables.py::test_titles_and_numbers_are_whole_at_any_width",
    ),
    Mutation(
        "every class has all test points", "experiments/_by_class.py",
        "each[where].astype(np.float64)", "each.astype(np.float64)",
        "tests/test_by_class.py::test_classes_are_compared_over_seeds_and_their_points",
    ),
    Mutation(
        "the classes of a test file are numbered by themselves", "experiments/_files.py",
        "return renumbered(found, condition,", "return found or renumbered(found, condition,",
        "tests/test_conditional_experiments.py::test_conditions_travel_with_their_points",
    ),
    Mutation(
        "classes of own points by the file's numbers", "experiments/_tell.py",
        "        return renumbered(", "        return samples or renumbered(",
        "tests/test_by_class.py::test_own_points_are_scored_by_the_names_of_the_run",
    ),
    Mutation(
        "a mixture of classes of equal shares", "experiments/_classes.py",
        "self.log_prob + np.log(self.shares)", "self.log_prob - np.log(self.shares.size)",
        "tests/test_by_class.py::test_the_mixture_is_a_density_of_points_alone",
    ),
    Mutation(
        "what was made of a flow outlives it", "experiments/_train.py",
        'for pattern in ("flow.hiflow", *MADE_OF_FLOWS)', 'for pattern in ("flow.hiflow",)',
        "tests/test_by_class.py::test_what_was_made_of_a_flow_goes_when_it_is_trained_on",
    ),
    Mutation(
        "truth values of Python's in a file", "experiments/_overrides.py",
        'return "true" if value else "false"', "return str(value)",
        BEGINNINGS + "test_words_that_need_escapes_are_written_as_they_are",
    ),
    Mutation(
        "the starter asks for points that it doesn't have", "experiments/_starter.py",
        "validation = 200 ", "# validation = 200 ",
        BEGINNINGS + "test_the_starter_trains_and_settings_beside_it_are_those_of_a_file",
    ),
    Mutation(
        "a schema that lets everything pass", "experiments/_schema.py",
        '"additionalProperties": False', '"additionalProperties": True',
        BEGINNINGS + "test_what_training_refuses_by_its_table_the_schema_refuses_too",
    ),
    Mutation(
        "memory of scoring in gigabytes", "experiments/_plan.py", "else scoring / 1e6",
        "else scoring / 1e9",
        BEGINNINGS + "test_a_dry_run_says_what_would_run_and_writes_nothing",
    ),
    Mutation(
        "one seed's time for all", "experiments/_plan.py",
        "seconds * arm.training.steps * seeds", "seconds * arm.training.steps",
        BEGINNINGS + "test_a_dry_run_says_what_would_run_and_writes_nothing",
    ),
    Mutation(
        "a file is overwritten", "_beginnings.py", "if file.exists():", "if not file.suffix:",
        BEGINNINGS + "test_the_starter_trains_and_settings_beside_it_are_those_of_a_file",
    ),
    Mutation(
        "a prior is fitted to points that its arm doesn't see", "experiments/_arm.py",
        "else fitted.points[:size]\n", "else fitted.points\n",
        "tests/priors/test_fitted_in_files.py::"
        "test_a_trained_flow_starts_from_the_fit_to_its_own_points",
    ),
    Mutation(
        "a prior's settings are forgotten", "experiments/_fitted_prior.py",
        "return cls.fit(points, **settings)", "return cls.fit(points)",
        "tests/priors/test_fitted_in_files.py::"
        "test_a_trained_flow_starts_from_the_fit_to_its_own_points",
    ),
    Mutation(
        "settings chosen by the test points", "experiments/_data.py", "_VALIDATION = 2**16",
        "_VALIDATION = 1",
        "tests/test_compare.py::test_validation_points_are_a_draw_of_their_own",
    ),
    Mutation(
        "candidates that share a setting", "experiments/_tuned.py", "copy.deepcopy(value)", "value",
        "tests/test_tuned.py::test_every_combination_is_an_arm_of_one_family",
    ),
    Mutation(
        "a plug-in's experiment shadows a built-in", "experiments/_packaged.py",
        "built_in[name] if name in built_in else", "built_in[name] if False else",
        "tests/test_packaged.py::test_a_built_in_name_means_the_built_in",
    ),
    Mutation(
        "samples under a name that nobody reads", "experiments/_drawn.py", "/samples\": x",
        "/drawn\": x",
        "tests/test_configurations.py::test_samples_are_evaluated_as_they_were_written",
    ),
    Mutation(
        "an inner fault without the way to it", "_arguments.py",
        "yield from (fault.under(name) for fault in found)", "yield from found",
        PLACES,
    ),
    Mutation(
        "a truth value is a size", "_border.py",
        "isinstance(value, int | np.integer) and not isinstance(value, bool)",
        "isinstance(value, int | np.integer)",
        "tests/test_mistakes.py::test_a_mistake_is_said_in_one_line[a size-2]",
    ),
    Mutation(
        "fewer steps are more", "experiments/_changes.py", "steps < Training()", "steps > Training()",
        ARMS + "::test_arms_are_added_and_trained_for_more_steps",
    ),
    Mutation(
        "what is wrong is noted and forgotten", "experiments/_check.py",
        "    problems.refuse(experiment.name)\n", "",
        PLACES,
    ),
    Mutation(
        "other scores are another training", "experiments/_failures.py",
        '_SCORING = ("evaluation",)', "_SCORING = ()",
        ARMS + "::test_what_only_scores_depend_on_keeps_what_was_trained",
    ),
    Mutation(
        "the first problem alone", "experiments/_problems.py",
        "raise ConfigError(*self._found, source", "raise ConfigError(next(iter(self._found)), source",
        CONFIGURATIONS + "::test_all_problems_are_said_at_once",
    ),
    Mutation(
        "a choice's misspelt settings are passed over", "experiments/_auto_settings.py",
        "if name not in known:", "if name in known and not known:",
        "tests/test_auto.py::test_what_is_wrong_is_refused_before_data_are_drawn",
    ),
    Mutation(
        "an arm by choice is trained for a quarter", "experiments/_auto.py",
        'found["steps"] * arm.training.steps', "2 * arm.training.steps",
        "tests/test_auto.py::test_an_arm_is_trained_for_the_steps_that_were_chosen",
    ),
    Mutation(
        "a path is chosen again at every resume", "experiments/_auto.py",
        "    return found if good", "    return None if good",
        "tests/test_auto.py::test_a_choice_is_made_once_and_gone_on_with",
    ),
    Mutation(
        "a seed twice", "experiments/_structure.py", " or len(set(seeds)) < len(seeds):", ":",
        PLACES,
    ),
]  # fmt: skip
