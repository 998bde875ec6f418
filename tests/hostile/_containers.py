"""Files whose text or whose archive is none."""

import copy
import io
import json
import struct
import zipfile
from collections.abc import Iterator

import numpy as np

from hostile._parts import Parts, archive, npy


def texts(parts: Parts) -> Iterator[tuple[str, bytes]]:
    members = parts.members()
    text = json.dumps(parts.manifest)

    def with_steps(value: str) -> bytes:
        return with_text(text.replace('"steps": null', f'"steps": {value}').encode())

    def with_text(content: bytes) -> bytes:
        manifest = npy(np.frombuffer(content, np.uint8))
        return archive(list({**members, "manifest.npy": manifest}.items()))

    for depth in (3_000, 100_000):
        yield f"nested {depth} deep", with_steps("[" * depth + "]" * depth)
        yield f"{depth} lists", with_steps('{"list": [' * depth + "]}" * depth)
    yield "millions of parts", with_steps("[" + "[]," * 3_000_000 + "[]]")
    for value in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5_000, "1" + "0" * 300_000):
        yield f"a manifest with {value[:10]}", with_steps(value)
    yield "a name twice", with_steps('null, "steps": 3')
    others = (text.encode("utf-16"), b"\xff" + text.encode())
    for content in (b"", b"null", b"[]", b"{}", b"\x00" * 50, *others):
        yield f"a manifest {content[:10]!r}", with_text(content)
    for version in (-1, 0, 4, 1.5, True, "3", None, [3]):
        manifest = {**parts.manifest, "hiflow-format": version}
        yield f"format {version}", with_text(json.dumps(manifest).encode())
    yield "another checksum", with_text(json.dumps({**parts.manifest, "sha256": "0" * 64}).encode())
    # Who takes the checksum away calls the file an older one.
    old = {key: value for key, value in parts.manifest.items() if key != "sha256"}
    old["root"] = copy.deepcopy(old["root"])
    old["root"]["fields"]["solver"]["fields"]["chunk_size"] = 0
    yield "an older format", with_text(json.dumps({**old, "hiflow-format": 2}).encode())


def archives(parts: Parts, inflated: int) -> Iterator[tuple[str, bytes]]:
    members = list(parts.members().items())
    name = f"{parts.layer['weight']['array']}.npy"

    def header(shape: str, dtype: str = "<f4", rest: bytes = b"\x00" * 64) -> bytes:
        text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
        text += b" " * (-(len(text) + 11) % 64) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + rest

    def with_array(content: bytes) -> bytes:
        return archive(list({**dict(members), name: content}.items()))

    for shape in (
        *("(10000000000000,)", "(8, 10**12)", "(-1,)", "(-8, -8)", "(2**70,)", "()", "None"),
        *("('8', '8')", "(True, 8)", "((8,), 8)", "__import__('os').system('touch it-ran')"),
    ):
        yield f"a header {shape}", with_array(header(shape))
    for dtype in ("|O", "|V0", "<U100000000", "O4", "nothing", "<f4, <i4"):
        yield f"a header of {dtype}", with_array(header("(8, 2)", dtype))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"x": 1}], object), allow_pickle=True)
    yield "a pickle", with_array(pickled.getvalue())
    yield "too long", with_array(dict(members)[name] + b"\x00" * 100_000)
    yield "megabytes that inflate a thousandfold", _bomb(members, inflated)
    yield "compressed", archive(members, zipfile.ZIP_DEFLATED)
    yield "a member twice", archive([*members, members[1]])
    yield "the manifest twice", archive([members[0], *members])
    for other in ("../../evil.npy", "/tmp/evil.npy", "evil_module.py", "C:\\evil.npy", "a/b.npy"):
        yield f"a member {other}", archive([*members, (other, dict(members)[name])])
    whole = archive(members)
    yield "no directory", whole[: whole.rindex(b"PK\x05\x06")]
    yield (
        "many members",
        archive([*members, *((f"x{i}.npy", npy(np.zeros(1))) for i in range(2_000))]),
    )
    at = whole.index(b"PK\x01\x02")
    for field, offset, value in [
        *(("flags", 8, 1), ("method", 10, 99), ("size", 24, 2**31), ("packed size", 20, 2**31)),
        *(("checksum", 16, 1), ("place", 42, 2**31), ("size of all", 24, 2**32 - 1)),
    ]:
        changed = bytearray(whole)
        size = "<H" if field in ("flags", "method") else "<I"
        struct.pack_into(size, changed, at + offset, value)
        yield f"a directory with another {field}", bytes(changed)


def _bomb(members: list[tuple[str, bytes]], inflated: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members:
            zipped.writestr(zipfile.ZipInfo(name), content)
        with zipped.open("more.npy", "w", force_zip64=True) as stream:
            stream.write(npy(np.zeros(0))[:-1])
            for _ in range(inflated // 2**20):
                stream.write(bytes(2**20))
    return file.getvalue()
