"""Faults in symmetry groups."""

from faults._mutation import Mutation

FORMULAS = "tests/groups/test_group_formulas.py"

PERIODS = "tests/groups/test_periods.py::"

FAULTS = [
    Mutation(
        "angles have the virial of lines", "groups/_periods.py",
        "jnp.where(wave > 0, turning, x * gradient)", "x * gradient",
        PERIODS + "test_the_virial_of_angles_is_their_number_whatever_the_turn",
    ),
    Mutation(
        "half turns are whole", "groups/_periods.py", "jnp.round(x / periods)",
        "jnp.round(2 * x / periods)",
        PERIODS + "test_whole_turns_are_no_way_from_where_points_were_moved",
    ),
    Mutation(
        "a circle is cut where the data are", "groups/_periods.py",
        "jnp.atan2(jnp.mean(jnp.sin(y), axis=0), jnp.mean(jnp.cos(y), axis=0))",
        "jnp.mean(y, axis=0)",
        PERIODS + "test_a_virial_of_angles_is_its_formula",
    ),
    Mutation(
        "samples are far after a turn", "metrics/_wasserstein.py", "- y[None]) % periods", "- y[None])",
        PERIODS + "test_samples_in_another_turn_are_no_further",
    ),
    Mutation(
        "a product forgets its periods", "groups/_periods.py",
        "group.groups if isinstance(group, Product) else (group,)", "(group,)",
        PERIODS + "test_what_is_said_of_a_period_holds_in_a_product",
    ),
    Mutation(
        "mirrors leave turns alone", "groups/_product.py", "alone = Trivial if self._turns",
        "alone = AbstractGroup if self._turns",
        PERIODS + "test_whole_periods_and_a_mirror_are_a_semidirect_product",
    ),
    Mutation(
        "any network has a density on a circle", "training/_symmetries.py",
        "if has_density(prior):\n        turns", "if False:\n        turns",
        PERIODS + "test_a_density_over_a_period_needs_a_periodic_network_and_energy",
    ),
    Mutation(
        "a joint that doesn't wrap isn't watched", "data/_mixing.py", "flat[:, ~turning]]",
        "flat[:, :0]]",
        PERIODS + "test_a_coordinate_without_a_period_is_watched_beside_those_with_one",
    ),
    Mutation(
        "chains keep their turns", "data/_sampler.py",
        "jax.vmap(partial(within_a_period, energy.group))(found.points[:size])",
        "found.points[:size]",
        PERIODS + "test_chains_are_brought_back_into_one_period",
    ),
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
    Mutation(
        "assignment of columns to rows", "groups/_assignment.py",
        ".at[rows].set(columns.astype(jnp.int32))", ".at[columns].set(rows.astype(jnp.int32))",
        "tests/groups/test_assignment.py::test_no_permutation_costs_less",
    ),
    Mutation(
        "alignment gives up at once", "groups/_product.py", "(step < self.rounds) & (now < before)",
        "(step < 1) & (now < before)",
        "tests/groups/test_assignment.py::test_alignment_is_the_same_on_the_host_and_compiled",
    ),
    Mutation(
        "alignment on the host gives up at once", "groups/_host_alignment.py", "range(rounds)",
        "range(1)",
        "tests/couplings/test_couplings.py::test_alignment_goes_on_to_a_fixed_point",
    ),
    Mutation(
        "species are mixed on the host", "groups/_host_alignment.py", "if unlike.any():",
        "if False:",
        "tests/groups/test_assignment.py::test_alignment_is_the_same_on_the_host_and_compiled",
    ),
    Mutation(
        "the nearest columns are taken twice", "groups/_assignment.py", "clash.any(axis=1)",
        "clash.all(axis=1)",
        "tests/groups/test_assignment.py::test_no_permutation_costs_less",
    ),
    Mutation(
        "callbacks in single precision", "_on_host.py",
        "np.asarray(result, dtype)) for", "np.asarray(result, np.float32).astype(dtype)) for",
        "tests/groups/test_assignment.py::test_one_event_is_aligned_to_many_in_double_precision",
    ),
    Mutation(
        "the trivial group mirrors", "groups/_trivial.py",
        "-> Float[Array, \"*event\"]:\n        return x",
        "-> Float[Array, \"*event\"]:\n        return -x",
        FORMULAS + "::test_the_trivial_group_does_nothing",
    ),
    Mutation(
        "velocities are translated", "groups/_base.py",
        "return group.act(g, x) - group.act(g, jnp.zeros_like(x))", "return group.act(g, x)",
        FORMULAS + "::test_a_translation_is_a_sum_whose_projector_removes_the_mean",
    ),
    Mutation(
        "finite elements compose backwards", "groups/_finite.py", "jnp.asarray(self.table)[g, h]",
        "jnp.asarray(self.table)[h, g]",
        "tests/groups/test_groups.py::test_finite_group_obeys_its_laws_and_has_its_order",
    ),
    Mutation(
        "a representation acts transposed", "groups/_representation.py",
        "return jnp.matmul(matrices, x.ravel()",
        "return jnp.matmul(matrices.swapaxes(1, 2), x.ravel()",
        FORMULAS + "::test_a_representation_is_all_products_of_its_generators",
    ),
    Mutation(
        "every turn is a quarter", "groups/_image.py", "jnp.rot90(x, k * 4 // order,",
        "jnp.rot90(x, k,",
        FORMULAS + "::test_turns_of_an_image_are_those_of_numpy",
    ),
    Mutation(
        "shifts are composed untouched by turns", "groups/_product.py",
        "return (*linear[:-1], self._turn(linear, linear[-1]))", "return linear",
        FORMULAS + "::test_a_product_applies_its_factors_in_turn",
    ),
]  # fmt: skip
