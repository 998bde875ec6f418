"""Faults in velocity fields."""

from faults._mutation import Mutation

FORMULAS = "tests/networks/test_network_formulas.py"

FAULTS = [
    Mutation(
        "a label that is none is no class",
        "networks/_conditions.py",
        "self.classes + 1, row)",
        "self.classes, row)",
        "tests/networks/test_conditions.py::test_labels_are_rows_of_a_table_and_vectors_two_layers",
    ),
    Mutation(
        "a label that is dropped is a class", "networks/_conditions.py",
        "row = jnp.where(condition < 0, self.classes, condition)", "row = condition - 1",
        "tests/networks/test_conditions.py::"
        "test_networks_of_conditions_keep_the_laws_under_a_condition",
    ),
    Mutation(
        "products that ask for more precision are rounded too", "networks/_low_products.py",
        "precision in (None, default, (default, default))", "bool((precision, default))",
        "tests/networks/test_low_products.py"
        "::test_a_product_is_that_of_rounded_factors_and_nothing_else_is_rounded",
    ),
    Mutation(
        "EGNN's divergence lacks a term", "networks/_egnn_divergence.py",
        "felt + received[:, :, None] * by_message.sum(1)\n", "felt + 0 * received.sum()\n",
        "tests/networks/test_networks.py::test_egnn_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "a bond is seen from one end", "networks/_egnn_pairs.py",
        "bonded[i, j] = bonded[j, i] = 1", "bonded[i, j] = 1",
        "tests/networks/test_labelled.py::test_bonds_are_seen_from_both_ends",
    ),
    Mutation(
        "handedness doesn't turn with its vectors", "networks/_egnn_divergence.py",
        "            - (turn * along).sum(-1, keepdims=True) * space.step\n", "",
        "tests/networks/test_labelled.py::test_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "a mirror image is as handed", "networks/_egnn_handedness.py", "return volume *",
        "return volume**2 *",
        "tests/networks/test_labelled.py::test_a_mirror_image_moves_as_one_exactly_with_reflections",
    ),
    Mutation(
        "bonds may be between any", "networks/_species.py", "near[i] - {j} == near[j] - {i}", "True",
        "tests/networks/test_labelled.py::test_bonds_that_an_exchange_breaks_are_refused",
    ),
    Mutation(
        "EGNN's own positions don't move its first sums", "networks/_egnn_divergence.py",
        ".add(row.by_offset.sum(1))", ".add(0 * row.by_offset.sum(1))",
        "tests/networks/test_networks.py::test_egnn_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "every activation acts on its channel alone", "networks/_mlp_divergence.py",
        "return bool(np.allclose(", "return bool(True or np.allclose(",
        "tests/networks/test_networks.py::test_mlp_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "slopes in another order", "networks/_mlp_divergence.py",
        "zip(middle[1:], slopes[1:-1]", "zip(middle[1:], slopes[2:]",
        "tests/networks/test_networks.py::test_mlp_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "a clock of half the range", "networks/_time.py", "2 * t[None] - 1", "t[None]",
        FORMULAS + "::test_the_clock_is_its_waves",
    ),
    Mutation(
        "the centre of mass leaks in", "networks/_mlp.py",
        'owner="MLP")\n        y = jnp.concatenate(\n            [self.projects_on.project(x).'
        'reshape(-1)',
        'owner="MLP")\n        y = jnp.concatenate(\n            [x.reshape(-1)',
        FORMULAS + "::test_mlp_is_its_layers",
    ),
    Mutation(
        "messages to oneself are averaged in", "networks/_egnn_layer.py", ".sum(1) / (count - 1)",
        ".sum(1) / count",
        FORMULAS + "::test_egnn_is_its_formula",
    ),
    Mutation(
        "shifts at full pace", "networks/_egnn.py",
        "layer(now, start + self.pace(t, condition) * shift, h)", "layer(now, start + shift, h)",
        FORMULAS + "::test_egnn_is_its_formula",
    ),
    Mutation(
        "an expansion in all dimensions", "networks/_egnn.py",
        "expansion * (x.size - x.shape[1])", "expansion * x.size",
        "tests/networks/test_networks.py::test_egnn_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "derivatives of the same weights", "networks/_convolution.py", "jnp.flip(weight, (0, 1))",
        "weight",
        "tests/networks/test_unet.py::test_convolution_and_its_derivatives_are_those_of_jax",
    ),
    Mutation(
        "nobody asks", "networks/_unet.py", "_through(self.after, now, self.attention(y))",
        "_through(self.after, now, y)",
        "tests/networks/test_unet.py::test_depends_on_time_and_every_weight",
    ),
    Mutation(
        "attention of the wrong temperature", "networks/_unet_layers.py",
        " / math.sqrt(query.shape[-1])", "",
        FORMULAS + "::test_attention_is_a_softmax_over_all_pixels",
    ),
    Mutation(
        "groups of all channels", "networks/_unet_layers.py",
        "self.groups = max(fitting, default=1)", "self.groups = 1",
        FORMULAS + "::test_group_norm_standardises_groups_of_channels",
    ),
    Mutation(
        "networks are left unperturbed", "networks/_perturbed.py", "leaf + size *",
        "leaf + 0 * size *",
        "tests/networks/test_unet.py::test_depends_on_time_and_every_weight",
    ),
    Mutation(
        "messages are averaged over all particles", "networks/_egnn_layer.py", ".sum(1) / (count - 1)",
        ".sum(1) / count",
        "tests/networks/test_network_formulas.py::test_egnn_is_its_formula",
    ),
    Mutation(
        "features don't hear of angles", "networks/_egnn_layer.py", "jnp.sqrt(1 + (vector**2).sum(1))",
        "jnp.sqrt(1 + 0 * (vector**2).sum(1))",
        "tests/networks/test_network_formulas.py::test_egnn_is_its_formula",
    ),
    Mutation(
        "an untrained network only expands", "networks/_egnn.py", "(t * variance - (1 - t))",
        "(t * variance + (1 - t))",
        "tests/networks/test_networks.py::test_untrained_egnn_is_a_gaussian_flow",
    ),
    Mutation(
        "any length resolves any distance", "networks/_egnn.py", "if share > 0.6:", "if share >= 0:",
        "tests/test_training.py::test_particles_out_of_the_networks_range_are_warned_of",
    ),
    Mutation(
        "EGNN's last layer lacks a term", "networks/_egnn_divergence.py",
        "felt + received[:, :, None] * by_message.sum(1)[:, None]", "felt + 0 * received.sum()",
        "tests/networks/test_networks.py::test_egnn_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "the centre of mass leaks into the divergence", "networks/_mlp.py",
        "condition)\n        y = jnp.concatenate(\n            [self.projects_on.project(x).reshape(-1)",
        "condition)\n        y = jnp.concatenate(\n            [x.reshape(-1)",
        "tests/networks/test_networks.py::test_mlp_divergence_is_trace_of_jacobian",
    ),
    Mutation(
        "the time before the event", "networks/_from_vector.py",
        "jnp.append(self.projects_on.project(x).reshape(-1), t)",
        "jnp.append(t, self.projects_on.project(x).reshape(-1))",
        "tests/test_mistakes.py::test_a_plain_network_is_wrapped",
    ),
    Mutation(
        "what is dropped is the last class", "networks/_conditions.py",
        "jnp.where(condition < 0, self.classes, condition)",
        "jnp.where(condition < 0, self.classes - 1, condition)",
        "tests/networks/test_conditions.py::test_what_is_dropped_in_a_batch_is_no_condition",
    ),
    Mutation(
        "guidance on top of the field without a condition", "networks/_told.py",
        "((1 - w, None), (w, condition))", "((1, None), (w, condition))",
        "tests/networks/test_conditions.py::"
        "test_guidance_goes_from_no_condition_to_one_and_beyond",
    ),
]  # fmt: skip
