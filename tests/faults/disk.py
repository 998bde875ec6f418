"""Faults in what reads files that may be damaged or hostile, and in the words of its errors."""

from faults._mutation import Mutation

DISK = "tests/test_disk.py"
DAMAGED = "tests/disk/test_damaged_files.py::test_a_damaged_file_is_named_in_the_error"
HOSTILE = (
    "tests/disk/test_hostile_files.py::test_a_hostile_file_is_refused_or_is_the_flow_that_it_was"
)
TRUST = "tests/disk/test_trust.py"

FAULTS = [
    Mutation(
        "numbers typed into a class are all alike", "_disk/_fingerprint.py",
        'or not name.startswith(("__", "_abc_")):', "and name:",
        "tests/test_disk.py::test_whatever_is_typed_into_a_class_of_a_session_tells_it_apart",
    ),
    Mutation(
        "a file's arrays of any shape", "_disk/_fields.py", "    if alone:", "    if False:",
        HOSTILE + "[2]",
    ),
    Mutation(
        "lists come back as tuples", "_disk/_decode.py", "return self._items(items, where, depth)",
        "return tuple(self._items(items, where, depth))",
        DISK + "::test_a_module_in_a_file_comes_back_with_its_containers_and_types",
    ),
    Mutation(
        "numbers are rounded without a word", "_disk/_decode.py", "    if decoding.rounded:",
        "    if decoding.rounded is None:",
        TRUST + "::test_double_precision_is_kept_in_double_precision_and_said_to_be_rounded_in_single",
    ),
    Mutation(
        "any format is read", "_disk/_modules.py", "if version not in (1, 2, 3, 4, FORMAT):",
        "if version < 1:",
        DISK + "::test_a_file_of_another_format_is_refused",
    ),
    Mutation(
        "an older file's settings are lost", "_disk/_formats.py", '"fields": settings}',
        '"fields": settings | {"chunk_size": None}}',
        "tests/test_flow.py::test_a_file_of_the_first_format_is_read",
    ),
    Mutation(
        "a damaged archive speaks as zip files do", "_disk/_archive.py",
        "except Exception as error:  # What a damaged", "except OSError as error:  # What a damaged",
        DAMAGED + "[flow]",
    ),
    Mutation(
        "arrays are compressed, which reading refuses", "_disk/_arrays.py", "np.savez(",
        "np.savez_compressed(",
        DISK + "::test_a_file_of_another_format_is_refused",
    ),
    Mutation(
        "infinity for what is not a number", "_disk/_encode.py", "np.isnan(array)", "np.isinf(array)",
        TRUST + "::test_nan_is_neither_written_nor_read",
    ),
    Mutation(
        "the cache is beside its folder", "_disk/_folder.py", "return Path(chosen)",
        "return Path(chosen).parent",
        "tests/data/test_sampler.py::test_an_unwritable_cache_is_reported_and_ignored",
    ),
    Mutation(
        "a missing file without a name", "_disk/_open.py", 'f"{path}: no such file."',
        '"no such file."',
        "tests/test_flow.py::test_a_missing_file_says_so",
    ),
    Mutation(
        "another function from a pickle", "_disk/_pickling.py", "if public is function:", "if True:",
        TRUST + "::test_functions_in_a_pickle_are_themselves",
    ),
    Mutation(
        "damaged text without a name", "_disk/_text.py", 'f"{path}: damaged, isn\'t JSON',
        'f"damaged, isn\'t JSON',
        DAMAGED + "[mark of checkpoints]",
    ),
    Mutation(
        "packages of any name", "_disk/_trust.py", ' or NAME.fullmatch(f"{package}:x") is None', "",
        TRUST + "::test_trust_holds_names_of_packages",
    ),
    Mutation(
        "a misspelt name of no package", "_lazy.py", "has no attribute {name!r}", "has no {name!r}",
        "tests/test_start.py::test_an_unknown_name_is_an_attribute_error",
    ),
    Mutation(
        "letters that a locale doesn't know go astray", "experiments/_slug.py",
        'return f"u{ord(character):x}"', 'return "-"',
        "tests/disk/test_locale.py::test_files_are_utf_8_where_the_locale_is_not",
    ),
    Mutation(
        "nothing is near", "_words.py", "list(known), n=2)", "list(known), n=2, cutoff=1.0)",
        "tests/test_registry.py::test_an_unknown_preset_is_refused_with_the_nearest",
    ),
    Mutation(
        "two processes hold one lock", "_disk/_lock.py", "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "tests/training/test_lost_runs.py::test_two_runs_of_one_folder_are_refused",
    ),
]  # fmt: skip
