"""Comparing paths that were said with paths that the kernel resolved. Pure text; nothing is looked up."""

from __future__ import annotations

import posixpath


def normalise(path: str, cwd: str) -> str:
    """``path`` made absolute by ``cwd`` and without ``.`` and ``..``; relative if ``cwd`` is not known."""
    if not path:
        return path
    joined = path if path.startswith("/") or not cwd.startswith("/") else f"{cwd}/{path}"
    clean = posixpath.normpath(joined)
    return "/" + clean.lstrip("/") if joined.startswith("/") else clean


def basename(path: str) -> str:
    """Last component of ``path``."""
    return path.rstrip("/").rpartition("/")[2]


def names(said: str, seen: str, cwd: str) -> bool:
    """Whether the path ``said`` means the absolute path ``seen``.

    A relative path means every path that ends with it, since the directory that the speaker had in mind is
    not known with certainty.
    """
    if said.startswith("/"):
        return posixpath.normpath(said).lstrip("/") == seen.lstrip("/")
    if normalise(said, cwd) == seen:
        return True
    tail = posixpath.normpath(said)
    while tail.startswith("../"):
        tail = tail[3:]
    return tail not in ("", ".", "..") and seen.endswith("/" + tail)


def common_tail(one: str, other: str) -> int:
    """How many last components two paths share."""
    count = 0
    for left, right in zip(
        reversed(one.strip("/").split("/")), reversed(other.strip("/").split("/")), strict=False
    ):
        if left != right:
            break
        count += 1
    return count


def under(path: str, directory: str) -> bool:
    """Whether ``path`` lies in ``directory`` (the root holds nothing: it says nothing about a project)."""
    directory = directory.rstrip("/")
    return directory.startswith("/") and path.startswith(directory + "/")
