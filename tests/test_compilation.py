"""The folder of compiled code doesn't grow without end."""

import os

from compilation import forget_the_oldest


def test_what_was_used_longest_ago_goes_first(tmp_path):
    for age, name in enumerate(["newest", "older", "oldest"]):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, times=(1e9 - age, 1e9))
    forget_the_oldest(tmp_path, largest=20)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "older"}
