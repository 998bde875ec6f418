"""The folder of compiled code doesn't grow without end."""

import os

from hiflow._compilation import forget_the_oldest, machine


def test_what_was_used_longest_ago_goes_first(tmp_path):
    for age, name in enumerate(["newest", "older", "oldest"]):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, times=(1e9 - age, 1e9))
    forget_the_oldest(tmp_path, largest=20)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "older"}


def test_code_is_kept_apart_by_processor(tmp_path):
    names = set()
    for flags in ("sse avx2", "sse avx2 avx512f"):
        (tmp_path / "cpuinfo").write_text(f"processor: 0\nflags: {flags}\ncpu MHz: 2000\n")
        names.add(machine(tmp_path / "cpuinfo"))
    (tmp_path / "cpuinfo").write_text("processor: 7\nflags: sse avx2\ncpu MHz: 3000\n")
    assert machine(tmp_path / "cpuinfo") in names
    assert len(names) == 2
    assert machine(tmp_path / "none") not in names
