"""Faults in paths, anchors and their store."""

from faults._mutation import Mutation

ISOTROPIC = "tests/paths/test_path_formulas.py::test_an_isotropic_path_is_its_formula"
SPECTRAL = "tests/paths/test_path_formulas.py::test_a_spectral_path_is_its_formula"
OWN = "tests/paths/test_own_noise.py::test_the_end_law_is_right_for_"
STORE = "tests/paths/test_anchor_store.py"

FAULTS = [
    Mutation(
        "a displacement along the dynamics", "paths/_displacement.py",
        "alpha * self.prior_scale + (1 - alpha) * jnp.sqrt(frame.variance)",
        "jnp.sqrt(alpha**2 * self.prior_scale**2 + (1 - alpha**2) * frame.variance)",
        "tests/paths/test_path_formulas.py::test_a_displacement_is_a_straight_line_to_the_end_law",
    ),
    Mutation(
        "a path around another forgets the prior's scale", "paths/_around.py",
        '"prior_scale": prior_scale}', '"prior_scale": None}',
        "tests/energies/test_quench.py::test_at_minimum_obeys_the_laws_of_paths",
    ),
    Mutation(
        "every chunk of anchors in the first one's place", "paths/_anchors.py",
        "jnp.asarray(start, jnp.int32)", "jnp.asarray(0, jnp.int32)",
        "tests/paths/test_anchor_memory.py::test_chunks_change_nothing[4]",
    ),
    Mutation(
        "a shared minimum's modes that don't turn along", "paths/_shared_minima.py",
        "vectors = jax.vmap(moved, 1, 1)(vectors)", "vectors = vectors + 0",
        "tests/paths/test_shared_minima.py::test_a_shared_anchor_is_the_points_own[ring]",
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
        "an end at the point, not the minimum", "paths/_at_minimum.py",
        "return self.inner.anchor(self.minimum(x1))", "return self.inner.anchor(x1)",
        "tests/energies/test_quench.py::"
        "test_at_minimum_ends_around_the_minimum_with_its_own_modes",
    ),
    Mutation(
        "variance-preserving with twice the rate", "paths/_isotropic.py",
        "-jnp.expm1(-total / 2)", "-jnp.expm1(-total)",
        ISOTROPIC + "[variance-preserving]",
    ),
    Mutation(
        "a schedule without its half", "paths/_isotropic.py",
        "s**2 * (self.beta_max - self.beta_min) / 2", "s**2 * (self.beta_max - self.beta_min)",
        ISOTROPIC + "[variance-preserving]",
    ),
    Mutation(
        "the least noise from the start on", "paths/_isotropic.py", "alpha + self.sigma_min * t",
        "alpha + self.sigma_min",
        ISOTROPIC + "[optimal transport, sigma_min]",
    ),
    Mutation(
        "cosine and sine swapped", "paths/_isotropic.py", "alpha = 1 - jnp.sin(math.pi / 2 * t)",
        "alpha = 1 - jnp.sin(math.pi / 2 * (1 - t))",
        ISOTROPIC + "[cosine]",
    ),
    Mutation(
        "noise explodes forwards", "paths/_isotropic.py",
        "(self.sigma_min / self.prior_scale) ** t",
        "(self.sigma_min / self.prior_scale) ** (1 - t)",
        ISOTROPIC + "[variance-exploding]",
    ),
    Mutation(
        "every stable rate is one", "paths/_isotropic.py",
        "self.time.decay(t, self.rate * frame.speeds)", "self.time.decay(t, frame.speeds)",
        ISOTROPIC + "[stable]",
    ),
    Mutation(
        "the step's variance without its square", "paths/_end_laws.py",
        "self.step * (2 - self.step)", "self.step * 2",
        SPECTRAL + "[relaxed]",
    ),
    Mutation(
        "prior's scale is forgotten", "paths/_base.py", "sigma / self.prior_scale,", "sigma,",
        ISOTROPIC + "[stable]",
    ),
    Mutation(
        "points in half precision too", "paths/_anchors.py", "leaf.size > points.size",
        "leaf.size >= points.size",
        STORE + "::test_half_precision_is_for_vectors_alone",
    ),
    Mutation(
        "bad anchors pass", "paths/_anchors.py", "    if bad.any():", "    if bad.all():",
        STORE + "::test_bad_anchors_are_refused_before_they_count",
    ),
    Mutation(
        "every row is the first", "paths/_anchor_store.py", "leaf.offset + int(number) * size",
        "leaf.offset",
        STORE + "::test_wide_rows_are_read_from_the_file_itself",
    ),
    Mutation(
        "every chunk is put first", "paths/_anchor_store.py", "(start - self._length)",
        "(0 * start - self._length)",
        STORE + "::test_what_was_stored_is_what_is_made",
    ),
    Mutation(
        "noise of its own grows as the prior's", "paths/_spectral.py", "gained = (1 - alpha) ** 2 if",
        "gained = 1 - alpha**2 if",
        "tests/paths/test_path_formulas.py::test_noise_of_its_own_adds_what_is_gained_of_the_end_law",
    ),
    Mutation(
        "every step is a half", "paths/_named.py", "Relaxation(curvature, step)",
        "Relaxation(curvature, 0.5)",
        SPECTRAL + "[relaxed, s = 0.2]",
    ),
    Mutation(
        "any prior is normal", "paths/_noise.py", "_difference_from_normal(prior, scale) < 1e-3",
        "_difference_from_normal(prior, scale) < 1e9",
        "tests/paths/test_own_noise.py::"
        "test_noise_of_the_prior_sample_is_refused_where_it_is_wrong",
    ),
    Mutation(
        "any coupling is independent", "paths/_noise.py",
        "not isinstance(coupling, Independent):", "not isinstance(coupling, AbstractCoupling):",
        "tests/paths/test_own_noise.py::"
        "test_noise_of_the_prior_sample_is_refused_where_it_is_wrong",
    ),
    Mutation(
        "noise is never its own", "paths/_noise.py", "ChosenNoise(fault is not None, fault)",
        "ChosenNoise(False, fault)",
        OWN + "every_coupling",
    ),
    Mutation(
        "draws as wide as their variance", "paths/_spectral.py", "jnp.sqrt(frame.variance), z.ravel()",
        "frame.variance, z.ravel()",
        OWN + "every_prior",
    ),
    Mutation(
        "draws about the origin", "paths/_spectral.py", "end = frame.centre + offset", "end = offset",
        OWN + "every_prior",
    ),
    Mutation(
        "rates below a half pass", "paths/_spectral.py",
        "np.asarray(cutoff) > 0 or np.asarray(least) > 0.5", "np.asarray(cutoff) >= 0 or least > 0.5",
        "tests/paths/test_identities.py::"
        "test_rates_that_may_reach_a_half_are_refused_at_build_time",
    ),
    Mutation(
        "a relaxation by the curvature", "paths/_end_laws.py",
        "spectrum.modes.apply(covariance, gradient)", "spectrum.modes.apply(1 / covariance, gradient)",
        SPECTRAL + "[relaxed]",
    ),
    Mutation(
        "a step beyond one", "paths/_end_laws.py", 'check_below(self, "step", 1.0, or_equal=True)',
        'check_below(self, "step", 2.0, or_equal=True)',
        "tests/paths/test_end_laws.py::test_a_step_is_a_share_of_the_way",
    ),
    Mutation(
        "a container's debt", "paths/_memory.py", "max(0, int(limit) - int(used))",
        "int(limit) - int(used)",
        "tests/paths/test_anchor_memory.py::test_a_container_may_have_less_than_its_host",
    ),
    Mutation(
        "an end law's own noise comes all at once", "paths/_conditional_law.py",
        "matrix((1 - alpha) * jnp.sqrt(frame.variance))", "matrix(jnp.sqrt(frame.variance))",
        "tests/priors/test_gaussian_priors.py::"
        "test_paths_obey_their_laws_from_a_prior_with_a_shape[langevin]",
    ),
]  # fmt: skip
