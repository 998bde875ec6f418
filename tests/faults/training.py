"""Faults in training."""

from faults._mutation import Mutation

REFUSED = "tests/test_training.py::test_a_setting_of_another_kind_is_refused_by_name"
IDENTITY = "tests/test_training.py::test_the_identity_is_of_all_that_the_weights_depend_on"
DEVICES = "tests/devices/test_devices.py::test_curves_are_those_of_one_device"
STEP = "tests/training/test_training_step.py::test_training_is_plain_optax"

FAULTS = [
    Mutation(
        "path gradients of chains as if of independent points", "training/_finish.py",
        "warn_if_inconsistent(given, data, chains)", "warn_if_inconsistent(given, data)",
        "tests/training/test_finish.py::"
        "test_path_gradients_of_an_energy_that_the_points_do_not_follow_are_warned_of",
    ),
    Mutation(
        "a wrong energy of path gradients is warned of twice", "training/_fit.py",
        '"the data don\'t follow the energy", UserWarning', '"no such words", UserWarning',
        "tests/training/test_finish.py::"
        "test_an_energy_that_the_points_do_not_follow_is_warned_of_once",
    ),
    Mutation(
        "points without forces are found after training", "training/_begin.py",
        'if estimator == "path" and ready', 'if estimator == "none" and ready',
        "tests/training/test_finish.py::"
        "test_an_energy_without_forces_at_a_point_is_refused_before_training",
    ),
    Mutation(
        "the reason tells the NLL of other steps", "training/_choose.py",
        "trials.told(best.least, best.steps)", "trials.told(best.least, steps)",
        "tests/training/test_choose.py::"
        "test_the_reason_tells_after_how_many_steps_each_was_judged",
    ),
    Mutation(
        "fit_many refuses in the name of fit", "_border.py",
        "_say_whose(error, owner)", "pass",
        "tests/training/test_lost_many.py::"
        "test_checkpoints_of_other_runs_are_refused_by_name",
    ),
    Mutation(
        "a class without points is one of the flow's", "training/_conditions.py",
        "    if 0 in counts:", "    if -1 in counts:",
        "tests/training/test_conditional_flows.py"
        "::test_classes_that_no_point_has_are_refused_unless_they_are_said",
    ),
    Mutation(
        "finishing is left out", "training/_fit.py",
        "        flow = _finished(flow, begun, getattr(data, \"chains\", None))\n", "",
        "tests/training/test_finish.py::test_as_a_setting_it_follows_the_last_step",
    ),
    Mutation(
        "path gradients without the flow's own score", "training/_finish.py",
        "jax.vmap(jax.grad(self.energy))(x) + score)", "jax.vmap(jax.grad(self.energy))(x))",
        "tests/training/test_finish.py::"
        "test_path_gradients_have_the_likelihoods_mean_and_none_of_its_variance_at_the_optimum",
    ),
    Mutation(
        "an untold difference chooses among plenty", "training/_choose.py",
        "> 2 * row.error(more)", "> -2 * row.error(more)",
        "tests/training/test_choose.py::"
        "test_the_simplest_is_chosen_of_plenty_that_arent_told_apart",
    ),
    Mutation(
        "thermal noise may count twice in plenty of points", "training/_candidates.py",
        "if made.excluded is None and found.size >= PLENTY:", "if made.excluded is not None:",
        "tests/training/test_choose.py::"
        "test_with_plenty_of_points_an_end_law_has_to_be_unbiased",
    ),
    Mutation(
        "nothing is said of a candidate that fails", "training/_choice.py",
        "for row in self.tried if row.excluded)", "for row in self.tried if row.nll)",
        "tests/training/test_choose.py::test_one_that_fails_is_left_out_and_its_reason_told",
    ),
    Mutation(
        "points judge the flow that they train", "training/_trials.py",
        "yield np.flatnonzero(~out), np.flatnonzero(out)", "yield np.arange(n), np.flatnonzero(out)",
        "tests/training/test_choose.py::test_every_point_is_left_out_once_and_never_trained_on",
    ),
    Mutation(
        "one chain alone is left out", "training/_trials.py",
        "max(_CHAINS, _LEFT_OUT * units // n)", "_LEFT_OUT * units // n",
        "tests/training/test_choose.py"
        "::test_several_chains_are_left_out_so_that_scores_have_an_error",
    ),
    Mutation(
        "fewer steps by chance", "training/_scores.py",
        "not self.mean(most) - self.mean(few) <= self.error(more)", "True",
        "tests/training/test_choose.py"
        "::test_the_least_decides_and_fewer_steps_only_if_they_are_told_apart",
    ),
    Mutation(
        "trials count points of one chain as independent", "training/_scores.py",
        "standard_error(more, self.chains)", "standard_error(more)",
        "tests/training/test_choose.py::test_points_of_one_chain_count_once",
    ),
    Mutation(
        "the chains of other points in trials", "training/_trials.py",
        "self.chains[out] for _, out", "self.chains[: len(out)] for _, out",
        "tests/training/test_choose.py::test_points_of_one_chain_count_once",
    ),
    Mutation(
        "an energy judges by points that were never its samples", "training/_moved.py",
        "if not abs(rise) <= _ERRORS * error:", "if not abs(rise) >= 0:",
        "tests/training/test_choose.py::"
        "test_points_at_rest_are_no_samples_and_are_judged_by_those_left_out",
    ),
    Mutation(
        "a point is scored by its own end law", "training/_evidence.py",
        "jnp.where(own, -jnp.inf, laws)", "laws",
        "tests/training/test_choose.py::test_left_out_points_are_scored_by_the_others_end_laws",
    ),
    Mutation(
        "what is found in haste is chosen", "training/_learn.py",
        "best = min(finished, key=lambda row: row.mean(steps))",
        "best = max(finished, key=lambda row: row.mean(steps))",
        "tests/training/test_learn.py::test_the_path_as_given_stays_if_nothing_is_better",
    ),
    Mutation(
        "numbers that end laws find worst", "training/_likeliest.py",
        "shares + updates, 0.0, 1.0", "shares - updates, 0.0, 1.0",
        "tests/training/test_learn.py::"
        "test_end_laws_propose_numbers_that_are_likelier_than_any_of_a_grid",
    ),
    Mutation(
        "a trial that fails is the best", "training/_search.py", "_WORST = 1e30", "_WORST = -1e30",
        "tests/training/test_learn.py::"
        "test_a_search_comes_near_the_least_and_what_fails_is_the_worst",
    ),
    Mutation(
        "trials of other points are gone on with", "training/_kept_trials.py",
        'if found.get("asked") == self._asked', 'if True',
        "tests/training/test_learn.py::"
        "test_a_choice_that_was_cut_short_goes_on_with_the_trials_that_are_kept",
    ),
    Mutation(
        "a range of the other end", "training/_ranges.py",
        "self.low * (self.high / self.low) ** share", "self.high * (self.low / self.high) ** share",
        "tests/training/test_learn.py::"
        "test_a_range_is_even_in_the_logarithm_above_zero_and_its_shares_lead_back",
    ),
    Mutation(
        "the choice says another Hessian than the file", "experiments/_learned.py",
        "return self._with_numbers(self.path, table)",
        'return {**self._with_numbers(self.path, table), "hessian": "dense"}',
        "tests/test_learned.py::test_what_is_made_of_the_points_isnt_written_to_the_choice",
    ),
    Mutation(
        "rows of steps that come later", "training/_source_draws.py",
        "_number(call[0]), room)", "_number(call[1]), room)",
        "tests/training/test_sources.py::"
        "test_training_from_a_source_is_training_from_memory[isotropic-minibatch-ot]",
    ),
    Mutation(
        "twice the budget is enough", "training/_anchors.py", "if needed <= allowed:",
        "if needed <= 2 * allowed:",
        "tests/paths/test_anchor_memory.py::"
        "test_anchors_above_the_budget_go_to_disk_and_from_there",
    ),
    Mutation(
        "rows in the disk's order, not the asked one", "data/_source.py",
        "[back.reshape(np.shape(index))]", "[np.sort(back).reshape(np.shape(index))]",
        "tests/training/test_sources.py::test_rows_are_the_points[array]",
    ),
    Mutation(
        "a resumed run may change its path", "training/_identity.py",
        '"path": run.ready.path,', '"path": type(run.ready.path).__name__,',
        "tests/test_training.py::test_checkpoints_of_another_run_are_refused",
    ),
    Mutation(
        "every step draws the same batch", "training/_draws.py",
        "return jax.random.fold_in(self.key, step)", "return jax.random.fold_in(self.key, 0 * step)",
        "tests/test_training.py::test_training_reaches_the_entropy_of_a_gaussian",
    ),
    Mutation(
        "augmentation turns the sample alone", "training/_step.py",
        "x, target = turn(draw.turns, x), turn(draw.turns, target)", "x = turn(draw.turns, x)",
        "tests/test_training.py::test_augmentation_turns_samples_and_targets_alike",
    ),
    Mutation(
        "all flows are the first one", "training/_crowd.py",
        "jax.tree.map(lambda leaf: leaf[index], tree)", "jax.tree.map(lambda leaf: leaf[0], tree)",
        "tests/training/test_fit_many.py::test_every_flow_is_that_of_its_own_run[plain]",
    ),
    Mutation(
        "a run that is over goes on", "training/_course.py",
        "enumerate(self.lanes) if lane.flow is None]", "enumerate(self.lanes)]",
        "tests/training/test_fit_many.py::test_every_run_ends_and_keeps_its_weights_by_itself",
    ),
    Mutation(
        "a flow that is over comes back with the best weights of all", "training/_lane.py",
        "self.best = dataclasses.replace(self.best, weights=weights)", "pass",
        "tests/training/test_lost_many.py"
        "::test_a_run_that_is_cut_is_resumed_to_the_same_flows_and_histories",
    ),
    Mutation(
        "a row of the step that a signal ended is never made", "training/_lane.py",
        "elif done.steps:", "elif False:",
        "tests/training/test_lost_runs.py::test_a_signal_saves_the_state_and_ends_the_run",
    ),
    Mutation(
        "flows of other keys are gone on with", "training/_identity.py",
        '_digest([digests[id(parts["key"])] for parts in each])', "_digest(len(each))",
        "tests/training/test_lost_many.py::test_checkpoints_of_other_runs_are_refused_by_name",
    ),
    Mutation(
        "one flow's losses for another's", "training/_course.py", "np.ravel(done.loss)[i]",
        "np.ravel(done.loss)[0]",
        "tests/training/test_fit_many.py::test_every_run_ends_and_keeps_its_weights_by_itself",
    ),
    Mutation(
        "every flow has anchors of its own", "training/_fit_many.py",
        "firsts.setdefault(id(points), run)", "run",
        "tests/training/test_fit_many.py"
        "::test_anchors_of_one_data_set_are_made_once_whatever_it_is_and_the_path_is",
    ),
    Mutation(
        "a flow without a loss isn't seen", "training/_together.py",
        "refuse_not_finite(losses[i],", "refuse_not_finite(losses[0],",
        "tests/training/test_fit_many.py::test_the_flow_whose_loss_is_lost_is_named",
    ),
    Mutation(
        "all flows begin with the first one's weights", "training/_fit_many.py",
        "own = taught(ready._replace(network=network), first.given.data)",
        "own = taught(ready, first.given.data)",
        "tests/training/test_fit_many.py::test_every_flow_is_that_of_its_own_run[plain]",
    ),
    Mutation(
        "closed forms that standardised energies only say they have", "training/_evidence.py",
        "isinstance(underneath(energy), SupportsHessian)", "isinstance(energy, SupportsHessian)",
        "tests/training/test_choose.py::"
        "test_in_standardised_coordinates_an_energy_has_the_hessian_that_it_has",
    ),
    Mutation(
        "pairs in another precision", "training/_pairing.py", "jax.enable_x64(double), ", "",
        "tests/couplings/test_couplings.py::test_pairing_in_the_background_changes_nothing[True]",
    ),
    Mutation(
        "pairs of another run", "training/_pairing.py",
        "self.draws.get(call) if identity == self.identity else None", "self.draws.get(call)",
        "tests/couplings/test_couplings.py::test_runs_at_once_dont_take_each_others_pairs",
    ),
    Mutation(
        "pairs of a run in another thread", "training/_pairing.py",
        "            if identity != self.identity:\n                return",
        "            if not identity:\n                return",
        "tests/couplings/test_couplings.py::test_runs_at_once_dont_take_each_others_pairs",
    ),
    Mutation(
        "a program for every call", "training/_pairing.py",
        "return batches.drawn(first, until, room)",
        "return batches.drawn(first, until, call[1] - call[0])",
        "tests/training/test_compiled_once.py::test_step_and_draws_are_compiled_once[plain]",
    ),
    Mutation(
        "average and weights swapped", "training/_step.py", "decay * old + (1 - decay) * new",
        "decay * new + (1 - decay) * old",
        STEP + "[12-5-adam-0.05-0.2]",
    ),
    Mutation(
        "an average without warm-up", "training/_step.py",
        "jnp.minimum(self.ema, (1 + state.step) / (10 + state.step))", "self.ema",
        STEP + "[2-0-adam-0.05-0.999]",
    ),
    Mutation(
        "an average off by one", "training/_step.py", "(1 + state.step) / (10 + state.step)",
        "(2 + state.step) / (11 + state.step)",
        STEP + "[2-0-adam-0.05-0.999]",
    ),
    Mutation(
        "gradients aren't clipped", "training/_optimiser.py", "optax.clip_by_global_norm(self.clip)",
        "optax.identity()",
        STEP + "[12-5-sgd-0.5-0.0]",
    ),
    Mutation(
        "gradients are clipped one by one", "training/_optimiser.py",
        "optax.clip_by_global_norm(self.clip)", "optax.clip(self.clip)",
        STEP + "[12-5-sgd-0.5-0.0]",
    ),
    Mutation(
        "weights of times are ignored", "training/_step.py", "jnp.sum(weight * errors)",
        "jnp.sum(errors)",
        STEP + "[1-3-adam-0.05-0.2]",
    ),
    Mutation(
        "the cosine ends at its peak", "training/_optimiser.py", "0.01 * peak)", "peak)",
        STEP + "[12-5-adam-0.05-0.2]",
    ),
    Mutation(
        "no warm-up", "training/_optimiser.py", "min(self.warmup, steps // 2)", "0",
        STEP + "[12-5-adam-0.05-0.2]",
    ),
    Mutation(
        "a loss per event", "training/_step.py", "jnp.sum(weight * errors) / x.size",
        "jnp.sum(weight * errors) / x.shape[0]",
        STEP + "[12-5-sgd-0.5-0.0]",
    ),
    Mutation(
        "a loss of the last step", "training/_step.py", "return state, total + loss",
        "return state, loss",
        STEP + "[5-1-sgd-0.5-0.999]",
    ),
    Mutation(
        "every piece is the first", "training/_anchor_stream.py", "start + jnp.arange(room)",
        "jnp.arange(room)",
        "tests/paths/test_anchor_store.py::test_training_from_disk_is_training_from_memory",
    ),
    Mutation(
        "any run may be resumed", "training/_claims.py", "found.get(name) != self._run[name]",
        "name not in found",
        "tests/test_training.py::test_checkpoints_of_another_run_are_refused",
    ),
    Mutation(
        "a network may merge species", "training/_distinctions.py",
        "(others[:, None] != others)", "(others[:, None] != kinds)",
        "tests/training/test_distinctions.py::test_a_network_that_merges_what_the_energy_tells_apart_is_refused",
    ),
    Mutation(
        "energies whose group is silent aren't asked", "training/_distinctions.py",
        "if not apart.any():", "if True:",
        "tests/training/test_distinctions.py::test_an_energy_whose_group_is_silent_is_asked_itself",
    ),
    Mutation(
        "any prior fits any symmetry", "training/_symmetries.py",
        "return jnp.abs(prior.log_prob(moved) - before)",
        "return 0 * jnp.abs(prior.log_prob(moved) - before)",
        "tests/test_training.py::test_a_prior_without_the_energys_symmetry_is_refused",
    ),
    Mutation(
        "the average is never returned", "training/_run.py",
        "state.average if self.settings.ema > 0 else state.parameters", "state.parameters",
        STEP + "[12-5-adam-0.05-0.2]",
    ),
    Mutation(
        "any learning rate will do", "training/_schedules.py",
        "if not 0 < (found := float(array)) <= _LARGEST_RATE:", "if not 0 < (found := float(array)):",
        REFUSED,
    ),
    Mutation(
        "a setting left out of the identity", "training/_settings.py",
        "lambda x: 0 <= x < 1), 0.999)", "lambda x: 0 <= x < 1), 0.999, trajectory=False)",
        IDENTITY,
    ),
    Mutation(
        "settings count by their type", "training/_settings.py",
        "fingerprint(value=getattr(self, field.name))",
        "fingerprint(value=type(getattr(self, field.name)))",
        IDENTITY,
    ),
    Mutation(
        "whoever looks on changes the run", "training/_settings.py",
        'if field.metadata.get("trajectory", True)', "if field.metadata",
        IDENTITY,
    ),
    Mutation(
        "any steps in a list", "training/_settings.py", "tuple(every(step) for step in value)",
        "tuple(value)",
        REFUSED,
    ),
    Mutation(
        "every function of Optax is an optimiser", "training/_settings.py",
        "value not in known:", "not hasattr(optax, value):",
        REFUSED,
    ),
    Mutation(
        "every flag is set", "_checks.py", '"must be true or false")\n    return value',
        '"must be true or false")\n    return True',
        IDENTITY,
    ),
    Mutation(
        "a network may leave the subspace", "training/_symmetries.py",
        "1e-3 * (1 + jnp.abs(velocity).max())", "1e3 * (1 + jnp.abs(velocity).max())",
        "tests/test_training.py::test_a_network_that_leaves_the_subspace_is_refused",
    ),
    Mutation(
        "the prior's scale doesn't matter", "training/_preflight.py",
        "if scale is None or jnp.allclose(scale, path.prior_scale):", "if scale is None or scale > 0:",
        "tests/test_training.py::test_bad_arguments_are_refused",
    ),
    Mutation(
        "thermal noise may count twice", "training/_data_checks.py",
        "agrees and isinstance(end_law, Laplace)",
        "not agrees and isinstance(end_law, Laplace)",
        "tests/test_training.py::test_plenty_of_thermal_samples_with_a_langevin_end_law_are_warned_of",
    ),
    Mutation(
        "a schedule with Optax's defaults", "training/_schedules.py",
        "**_keyed(json.loads(self.arguments))", "**_keyed({**json.loads(self.arguments), 'alpha': 0.0})",
        "tests/training/test_schedules.py::test_a_table_is_the_schedule_that_optax_makes_of_it",
    ),
    Mutation(
        "the last weights for the best", "training/_finish.py", "return _with(flow, best)",
        "return _with(flow, weights)",
        "tests/training/test_finish.py::test_a_flow_that_gets_no_better_is_returned_as_it_was",
    ),
    Mutation(
        "a step twice in a history", "training/_history.py",
        'if old["step"] < row["step"]), row]', 'if old["step"] <= row["step"]), row]',
        "tests/training/test_control.py::"
        "test_a_resumed_run_has_the_best_weights_and_history_of_an_uninterrupted_one[6]",
    ),
    Mutation(
        "functions are called at every log", "training/_moments.py", "elif moment.validated:",
        "else:",
        "tests/training/test_control.py::"
        "test_plain_functions_are_called_after_validations_and_objects_every_few_steps",
    ),
    Mutation(
        "choosing without points to choose by", "training/_begin.py",
        "check_selection(ready.training, held_out is not None)",
        "check_selection(ready.training, True)",
        "tests/training/test_control.py::test_settings_of_control_are_refused_by_name",
    ),
    Mutation(
        "a step is a figure", "callbacks.py", 'if name != "step" and isinstance', 'if isinstance',
        "tests/training/test_callbacks.py::test_wandb_gets_every_number_and_the_end",
    ),
    Mutation(
        "the last of several equals is the best", "training/_selection.py",
        "not value < best.nll:", "value > best.nll:",
        "tests/training/test_control.py::test_equally_good_weights_are_no_better",
    ),
    Mutation(
        "a resumed run forgets its last validation", "training/_course.py",
        "if validates and (not again or run.settings.selects):", "if validates and not again:",
        "tests/training/test_control.py::"
        "test_a_resumed_run_has_the_best_weights_and_history_of_an_uninterrupted_one[6]",
    ),
    Mutation(
        "losses since a row of long ago", "training/_checkpoints.py",
        "return self._replace(steps=0.0)", "return self",
        "tests/training/test_control.py::"
        "test_losses_of_a_history_are_means_over_the_steps_between_its_rows",
    ),
    Mutation(
        "a callback that ends a run isn't asked again", "training/_lane.py",
        "return stopped is None or ended is not None", "return True",
        "tests/training/test_control.py::"
        "test_a_callback_ends_a_run_and_ends_it_again_after_a_resume[6]",
    ),
    Mutation(
        "validation half as often", "training/_run.py",
        "range(at, steps, at)", "range(at, steps, 2 * at)",
        "tests/test_training.py::test_validation_happens_at_the_chosen_steps",
    ),
    Mutation(
        "training goes on without a loss", "training/_stretch.py", "if not math.isfinite(loss):",
        "if math.isinf(math.pi):",
        "tests/test_training.py::test_divergence_of_the_loss_stops_the_run",
    ),
    Mutation(
        "a call goes past where it should stop", "training/_prepare.py",
        "min(first + room, stop)", "first + room", STEP + "[12-5-adam-0.05-0.2]",
    ),
    Mutation(
        "the last of a batch is the one before", "_devices.py",
        "devices) * devices), size - 1)", "devices) * devices), size - 2)", DEVICES,
    ),
    Mutation(
        "every process's data will do", "_processes.py", "theirs.get(name) != found[0].get(name)",
        "theirs.get(name) != theirs.get(name)",
        "tests/devices/test_devices.py::test_other_data_in_one_process_are_refused_in_all",
    ),
    Mutation(
        "the first process alone may stop", "training/_lane.py",
        'next(filter(None, _processes.exchange(stopped or "")), None)',
        '_processes.exchange(stopped or "")[0] or None',
        "tests/devices/test_devices.py"
        "::test_a_callback_that_stops_in_one_process_stops_all_at_its_step",
    ),
    Mutation(
        "what fills a batch up counts", "training/_placed_draws.py",
        "jnp.arange(room) < size", "jnp.arange(room) <= size", DEVICES,
    ),
    Mutation(
        "a device has the neighbour's anchors", "training/_layout.py",
        "wanted - jax.lax.axis_index(AXIS)", "wanted - 1 - jax.lax.axis_index(AXIS)", DEVICES,
    ),
    Mutation(
        "devices add their gradients", "training/_layout.py",
        "jax.lax.pmean(flat, AXIS)", "jax.lax.psum(flat, AXIS)", DEVICES,
    ),
    Mutation(
        "a batch of any size has room", "training/_room.py",
        "if needed > free:", "if needed < 0:",
        "tests/test_configurations.py::test_a_number_that_nobody_means_is_refused",
    ),
    Mutation(
        "signals go where they went in training", "_interrupts.py",
        "        for number, default in taken.items():\n            signal.signal(number, default)\n",
        "",
        "tests/training/test_lost_runs.py::test_a_signal_saves_the_state_and_ends_the_run",
    ),
    Mutation(
        "states that a killed process left pile up", "training/_checkpoints.py",
        'f"steps/*{_UNFINISHED}*"), *spare):', 'f"steps/*{_UNFINISHED}*")):',
        "tests/training/test_lost_runs.py::"
        "test_what_a_killed_process_had_begun_to_write_is_cleared_away",
    ),
    Mutation(
        "a fork is told to fork", "_forks.py", "multiprocessing.get_context('spawn')",
        "multiprocessing.get_context('fork')",
        "tests/test_programs.py::test_a_forked_process_says_that_it_would_hang",
    ),
    Mutation(
        "what is overwritten counts twice", "_programs.py", "return taken - says.alias_size",
        "return taken - 0 * says.alias_size",
        "tests/test_programs.py::test_a_measured_program_says_what_it_holds_and_is_compiled_once",
    ),
    Mutation(
        "a truth value has a number's program", "_programs.py", "return type(leaf), leaf  #",
        "return leaf  #",
        "tests/test_programs.py::test_values_that_are_equal_but_of_other_types_are_apart",
    ),
    Mutation(
        "a named network doesn't know the prior's symmetry", "training/_components.py",
        '"projects_on": prior.group, ', "",
        "tests/test_training.py::test_named_components_know_the_priors_symmetry_and_scale",
    ),
    Mutation(
        "scoring without a rehearsal", "training/_rehearsal.py",
        "    eqx.filter_eval_shape(\n        flow.log_prob_and_stats, points, key=jax.random.key(0), "
        "condition=conditions\n    )\n",
        "",
        "tests/training/test_lost_runs.py::"
        "test_what_validation_would_raise_is_raised_before_training",
    ),
    Mutation(
        "vectors of any units", "training/_conditions.py", "conditions.fitted(rows)", "conditions",
        "tests/training/test_conditional_flows.py::test_the_units_of_a_vector_do_not_matter",
    ),
    Mutation(
        "optimal transport among conditions that all differ", "training/_conditions.py",
        "different > max(1, batch_size // 2)", "different > 10**9",
        "tests/training/test_conditional_flows.py::"
        "test_what_does_not_go_with_conditions_is_refused",
    ),
]  # fmt: skip
