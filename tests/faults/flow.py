"""Faults in the flow, its likelihood and the metrics."""

from faults._mutation import Mutation

FORMULAS = "tests/metrics/test_metric_formulas.py"
SETTINGS = "tests/test_training.py::test_a_solver_setting_of_another_kind_is_refused_by_name"
LANES = "tests/test_integration.py"
ARRIVAL = "tests/test_flow.py::test_a_solve_that_does_not_arrive_is_no_number"

FAULTS = [
    Mutation(
        "conditions of samples are left behind", "_border.py",
        'for name in ("chains", "condition"):', 'for name in ("chains",):',
        "tests/training/test_conditional_flows.py::test_samples_bring_their_conditions_and_chains",
    ),
    Mutation(
        "log density of the wrong sign", "_carry.py", "log_prob(flow, x0) + _mean(gained)",
        "log_prob(flow, x0) - _mean(gained)",
        "tests/test_flow.py::test_density_of_a_linear_field_is_the_transformed_gaussian",
    ),
    Mutation(
        "sampled density forgets the Jacobian", "_carry.py", "log_prob(flow, x0) - _mean(gained)",
        "log_prob(flow, x0)",
        "tests/test_flow.py::test_samples_carry_the_density_that_log_prob_gives",
    ),
    Mutation(
        "velocities in the prior's units", "flow.py",
        "u if self.units is None else self.units.scale * u", "u",
        "tests/test_flow.py::test_velocity_is_the_slope_of_the_trajectory_in_the_datas_units",
    ),
    Mutation(
        "trajectories of other steps", "solver.py",
        "controller, first, most = diffrax.StepTo(ends)",
        "controller, first, most = diffrax.StepTo(ends**2)",
        "tests/test_flow.py::test_a_trajectory_goes_from_the_prior_to_the_samples_of_the_same_key",
    ),
    Mutation(
        "pull pushes on", "_carry.py", "flow.solver, flow.network, projected, (1.0, 0.0)",
        "flow.solver, flow.network, projected, (0.0, 1.0)",
        "tests/test_flow.py::test_pull_is_the_inverse_of_push",
    ),
    Mutation(
        "NFE off by one", "_integration/_adaptive.py", "1 + steps * (stages - 1) if self",
        "steps * (stages - 1) if self",
        "tests/test_flow.py::test_nfe_is_what_a_counter_in_the_network_sees",
    ),
    Mutation(
        "NFE of accepted steps only", "_integration/_adaptive.py",
        "steps, stages = lane.accepted + lane.rejected,", "steps, stages = lane.accepted,",
        "tests/test_flow.py::test_nfe_is_what_a_counter_in_the_network_sees",
    ),
    Mutation(
        "Hutchinson sums its probes", "_carry.py", "gained.reshape(gained.shape[0], -1).mean(1)",
        "gained.reshape(gained.shape[0], -1).sum(1)",
        "tests/test_flow.py::test_hutchinson_averages_to_the_exact_density",
    ),
    Mutation(
        "standard error of a sum", "_statistics.py", "np.std(values, ddof=1) / np.sqrt(n)",
        "np.std(values, ddof=1)",
        "tests/metrics/test_metrics.py::test_standard_error_is_that_of_the_mean",
    ),
    Mutation(
        "weights of the inverse ratio", "metrics/_weighted.py",
        "return -np.asarray(self.energies, np.float64) - np.asarray(self.log_prob, np.float64)",
        "return np.asarray(self.energies, np.float64) + np.asarray(self.log_prob, np.float64)",
        "tests/metrics/test_metrics.py::test_free_energy_and_means_are_the_targets_within_their_errors",
    ),
    Mutation(
        "an energy that is no number is weighed", "metrics/_weighing.py",
        '_check_energy(energy, event_shape, jnp.result_type(float), "importance_sample")', "pass",
        "tests/metrics/test_refusals.py::"
        "test_an_energy_that_is_no_number_is_refused_before_samples_are_drawn",
    ),
    Mutation(
        "free energy without the mean", "metrics/_weighted.py",
        "np.log(np.mean(np.exp(self.log_weights - top)))",
        "np.log(np.sum(np.exp(self.log_weights - top)))",
        "tests/metrics/test_metrics.py::test_free_energy_and_means_are_the_targets_within_their_errors",
    ),
    Mutation(
        "probe variance of one probe", "_carry.py", "jnp.var(gained, axis=1, ddof=1) / probes",
        "jnp.var(gained, axis=1, ddof=1)",
        "tests/test_flow.py::test_probe_variance_is_that_of_the_estimate",
    ),
    Mutation(
        "probe error of a sum", "metrics/_likelihood.py",
        "jnp.sqrt(jnp.sum(stats.probe_variance)) / log_prob.shape[0]",
        "jnp.sqrt(jnp.sum(stats.probe_variance))",
        FORMULAS + "::test_nll_is_a_mean_with_its_errors",
    ),
    Mutation(
        "effective size without a square", "metrics/_weighted.py",
        "len(self.weights) * np.sum(self.weights**2)", "np.sum(self.weights**2)",
        FORMULAS + "::test_weights_and_their_effective_sample_size",
    ),
    Mutation(
        "free energy's error of the whole", "metrics/_weighted.py",
        "even = terms.sum() / n", "even = 0.0",
        FORMULAS + "::test_the_free_energy_is_that_of_the_mean_weight",
    ),
    Mutation(
        "a column is broadcast against the weights", "metrics/_weighted.py",
        "        if values.ndim > 1:", "        if values.ndim > 2:",
        "tests/metrics/test_weights.py::test_what_isnt_one_number_for_each_sample_is_refused",
    ),
    Mutation(
        "a plain mean", "metrics/_weighted.py", "mean = np.sum(weights * values)",
        "mean = np.mean(values)",
        FORMULAS + "::test_a_reweighted_mean_is_the_ratio_of_sums",
    ),
    Mutation(
        "Zwanzig upside down", "metrics/_weighted.py", "self.mean(np.exp(low - change))",
        "self.mean(np.exp(change - low))",
        FORMULAS + "::test_a_difference_of_free_energies_is_zwanzigs",
    ),
    Mutation(
        "kJ/mol that fall with the temperature", "metrics/_units.py", "self.value * self.units.kT()",
        "self.value / self.units.kT()",
        "tests/metrics/test_free_energies.py::test_kilojoules_are_those_of_the_temperature",
    ),
    Mutation(
        "the other state is the first", "metrics/_free_energy.py", "float(-np.log(p_b / p_a))",
        "float(-np.log(p_a / p_b))",
        "tests/metrics/test_free_energies.py::test_states_differ_by_the_logarithm_of_their_shares",
    ),
    Mutation(
        "a bin's error without the other bins", "metrics/_free_energy.py",
        "each[:, :number] - shares[:, None] * p", "each[:, :number]",
        "tests/metrics/test_free_energies.py::"
        "test_a_surface_over_chains_of_single_samples_is_that_of_samples",
    ),
    Mutation(
        "heating in one kT", "metrics/_free_energy.py", "value = ratio * hot.free_energy[0]",
        "value = hot.free_energy[0]",
        "tests/metrics/test_free_energies.py::test_heating_an_oscillator_costs_its_closed_form",
    ),
    Mutation(
        "the tail of the smallest weights", "metrics/_tail.py", "array_stats.psislw(-finite)",
        "array_stats.psislw(finite)",
        "tests/metrics/test_weights.py::test_the_tails_shape_is_that_of_a_pareto_law",
    ),
    Mutation(
        "weights below zero", "metrics/_wasserstein.py", "or w.min() < 0 or", "or w.min() < -9 or",
        "tests/metrics/test_wasserstein.py::test_what_is_no_weight_of_each_sample_is_refused",
    ),
    Mutation(
        "a torus with a seam", "metrics/_wasserstein.py",
        "np.minimum(change, periods - change) ** 2", "change ** 2",
        "tests/metrics/test_wasserstein.py::test_on_a_torus_the_way_around_is_taken",
    ),
    Mutation(
        "a torsion seen from behind", "coordinates.py", "jnp.sum(a * m, axis=-1)",
        "-jnp.sum(a * m, axis=-1)",
        "tests/test_coordinates.py::test_a_molecule_built_from_its_coordinates_has_them",
    ),
    Mutation(
        "as many steps are twice as many", "experiments/_doubled.py", "steps=2 * steps", "steps=steps",
        "tests/test_doubled.py::test_the_change_is_that_of_twice_as_many_steps",
    ),
    Mutation(
        "Metropolis without the way back", "metrics/_annealing_moves.py",
        "change += (_squares(momentum) - _squares(p)) / 2", "change += 0",
        "tests/metrics/test_annealing.py::test_weighted_means_are_the_targets",
    ),
    Mutation(
        "a flow's density of where the trajectory began", "metrics/_annealing_moves.py",
        'if annealing and self.slopes == "energy":', "if False:",
        "tests/metrics/test_annealing.py::test_what_is_known_is_of_where_samples_are",
    ),
    Mutation(
        "the next temperature as if nothing were weighted", "metrics/_annealing.py",
        "w, gain = w / w.sum(), log_ratio[known]", "w, gain = 0 * w + 1 / len(w), log_ratio[known]",
        "tests/metrics/test_annealing.py::test_a_chosen_temperature_leaves_nine_tenths",
    ),
    Mutation(
        "samples without descendants are forgotten", "metrics/_weighted.py",
        "nothing = np.zeros(n - len(sums))", "nothing = np.zeros(0)",
        FORMULAS + "::test_errors_of_samples_drawn_anew_count_draws_without_descendants",
    ),
    Mutation(
        "a spread of n", "_statistics.py", "np.std(values, ddof=1)", "np.std(values)",
        FORMULAS + "::test_the_standard_error_is_that_of_a_mean",
    ),
    Mutation(
        "the last sample is the one before", "_integration/_lanes.py", "n - 1).reshape(chunks, size)",
        "n - 2).reshape(chunks, size)",
        "tests/test_flow.py::test_chunks_do_not_change_the_result",
    ),
    Mutation(
        "every chunk is the first", "_integration/_lanes.py", "jnp.arange(chunks * size)",
        "jnp.arange(chunks * size) % size",
        "tests/test_flow.py::test_chunks_do_not_change_the_result",
    ),
    Mutation(
        "a chunk of none", "solver.py", "None if value is None else whole(1)(value)",
        "None if value is None else whole(0)(value)",
        "tests/test_flow.py::test_bad_settings_are_refused",
    ),
    Mutation(
        "any tolerance will do", "solver.py", "not 0 < float(array) < jnp.inf", "not (array < jnp.inf)",
        SETTINGS,
    ),
    Mutation(
        "a truth value is a tolerance", "_kinds.py",
        "return not _is_truth(value) and _is_finite(value)",
        "return _is_finite(value)",
        SETTINGS,
    ),
    Mutation(
        "Euler chooses its steps", "solver.py",
        "isinstance(self.method, diffrax.Euler) and self.steps is None",
        "isinstance(self.method, diffrax.Heun) and self.steps is None",
        "tests/test_flow.py::test_bad_settings_are_refused",
    ),
    Mutation(
        "every solve arrives", "_integration/_lanes.py", "lane.tau >= 1)\n\n    def going",
        "lane.tau >= 0)\n\n    def going",
        ARRIVAL,
    ),
    Mutation(
        "one sample's arrival is everyone's", "solver.py", "lost = int(jnp.sum(~arrived))",
        "lost = int(~arrived[0])",
        ARRIVAL,
    ),
    Mutation(
        "under jit every solve arrives", "solver.py", "~jnp.all(arrived), f",
        "~jnp.any(arrived | True), f",
        ARRIVAL,
    ),
    Mutation(
        "a number of steps is a wish", "solver.py", "if solver.steps is not None:",
        "if solver.steps == 0:",
        "tests/test_flow.py::test_a_number_of_steps_is_taken_as_it_is",
    ),
    Mutation(
        "a tolerance is the other", "solver.py", "diffrax.PIDController(solver.rtol, solver.atol)",
        "diffrax.PIDController(solver.atol, solver.rtol)",
        "tests/test_flow.py::test_far_from_the_origin_the_relative_tolerance_decides",
    ),
    Mutation(
        "a lane that is done takes the sample of another", "_integration/_lanes.py",
        "jnp.minimum(index, n - 1)", "jnp.minimum(index - 1, n - 1)",
        LANES + "::test_lanes_that_take_the_next_sample_give_what_each_gives_alone",
    ),
    Mutation(
        "the integral asks at the wrong stages", "_integration/_runge_kutta.py",
        "asked = (self.b != 0) | (self.error != 0)", "asked = self.b == self.b",
        LANES + "::test_stages_that_the_integral_does_not_use_do_not_evaluate_it",
    ),
    Mutation(
        "the next step's first stage is left out", "_integration/_runge_kutta.py",
        "asked[-1] |= self.reuses and asked[0]", "asked[-1] |= False",
        LANES + "::test_lanes_agree_with_diffrax",
    ),
    Mutation(
        "a stage is skipped that another needs", "_integration/_runge_kutta.py",
        "needed |= needed[i] & (self.a[i] != 0)", "needed = needed",
        LANES + "::test_order_of_convergence",
    ),
    Mutation(
        "a rejected step is kept", "_integration/_adaptive.py", "jnp.where(kept, new, old)", "new",
        LANES + "::test_lanes_agree_with_diffrax",
    ),
    Mutation(
        "gradients stop at the start", "_integration/_solve.py", "found, pull, report = jax.vjp(ends,",
        "found, pull, report = jax.vjp(lambda one: ends(jax.lax.stop_gradient(one)),",
        LANES + "::test_gradients_are_those_of_many_small_steps",
    ),
    Mutation(
        "time runs on where it should run back", "_integration/_problem.py",
        "(self.end - self.start) * s", "abs(self.end - self.start) * s",
        LANES + "::test_lanes_agree_with_diffrax",
    ),
    Mutation(
        "lanes by the last intermediate alone", "_integration/_width.py", "return max(sizes)",
        "return sizes[-1]",
        LANES + "::test_lanes_are_as_many_as_have_room",
    ),
    Mutation(
        "a flow of conditions goes without any", "_rows.py", "not bool(conditions.taught)", "False",
        "tests/training/test_conditional_flows.py::test_a_flow_says_what_it_lacks",
    ),
]  # fmt: skip
