"""Records as the kernel side sends them, built of field values. A field that is not given is 0."""

from __future__ import annotations

import struct
from typing import Any

from collector.kernel import wire

#: the text of a struct's variable parts, in order, and the field that holds the length of each
PARTS = {
    "pg_exec": ("path_len", "script_len", "cwd_len", "cgroup_len", "argv_len", "trace_len"),
    "pg_exec_failed": ("path_len",),
    "pg_file": ("base_len", "path_len", "base2_len", "path2_len"),
    "pg_mapped": ("path_len",),
    "pg_net": ("unix_len",),
    "pg_dns": ("data_len",),
    "pg_sni": ("name_len",),
    "pg_tls": ("data_len",),
    "pg_plain": ("data_len",),
}

HANDLE = 7
SESSIONS = {HANDLE: "s"}
TS, SEQ, START, PID, TID = 1_000_000_007, 41, 555_000_111, 4242, 4243
PROCESS = f"{PID}:{START}"


def address(family: int, raw: bytes = b"", port: int = 0, cid: int = 0, port32: int = 0) -> dict[str, Any]:
    """Values of a struct pg_addr."""
    return {"family": family, "port": port, "cid": cid, "port32": port32, "addr": raw}


def record(name: str, kind: wire.Type, /, *parts: bytes, **values: Any) -> bytes:
    """One record of struct ``name``. A dict stands for a nested struct."""
    fields: dict[str, Any] = {
        "hdr.type": kind, "hdr.ts": TS, "hdr.session": HANDLE, "hdr.seq": SEQ, "hdr.start": START,
        "hdr.pid": PID, "hdr.tid": TID,
    }  # fmt: skip
    for key, value in values.items():
        if isinstance(value, dict):
            fields |= {f"{key}.{inner}": given for inner, given in value.items()}
        else:
            fields[key] = value
    lengths = PARTS.get(name, ())
    fields |= {field: len(part) for field, part in zip(lengths, parts, strict=True)}
    layout = (
        wire.LAYOUTS[name]
        if name != "pg_hdr"
        else tuple((f"hdr.{f}", form) for f, form in wire.LAYOUTS[name])
    )
    unknown = set(fields) - {field for field, _form in layout}
    assert not unknown, f"{name} has no {unknown}"
    form = "=" + "".join(form for _field, form in layout)
    behind = b"".join(parts)
    fields["hdr.size"] = values.get("size", struct.calcsize(form) + len(behind))
    blank = {field: b"" if form.endswith("s") else 0 for field, form in layout}
    return struct.pack(form, *(blank | fields).values()) + behind
