"""Which container a Docker server made, out of what a connection says."""

from __future__ import annotations

import pytest

from collector.containers import Created, cgroup_names, creates
from collector.http.events import Direction, RequestDone, ResponseDone

ID = "0f" * 32


def request(
    target: str = "/v1.43/containers/create", method: str = "POST", direction: Direction = "sent"
) -> RequestDone:
    return RequestDone(
        direction=direction, method=method, target=target, headers=(), body=b"{}", ts=1, index=4, first_ts=1
    )


def response(body: bytes, status: int = 201, index: int | None = 4) -> ResponseDone:
    return ResponseDone(status=status, headers=(), body=body, ts=2, request_index=index, first_ts=2)


def created(*events: RequestDone | ResponseDone) -> list[str]:
    seen = Created()
    for event in events:
        seen.feed(event)
    return seen.taken()


def test_the_id_is_in_the_answer() -> None:
    assert created(request(), response(f'{{"Id": "{ID}", "Warnings": []}}'.encode())) == [ID]


def test_it_is_told_once() -> None:
    seen = Created()
    for event in (request(), response(f'{{"Id": "{ID}"}}'.encode()), response(f'{{"Id": "{ID}"}}'.encode())):
        seen.feed(event)
    assert seen.taken() == [ID]
    assert seen.taken() == []


@pytest.mark.parametrize(
    "answer",
    [
        response(f'{{"Id": "{ID}"}}'.encode(), status=409),
        response(f'{{"Id": "{ID}"}}'.encode(), index=5),
        response(b'{"Id": "../../user.slice"}'),
        response(b'{"Id": 7}'),
        response(b"[]"),
        response(b"\xff"),
    ],
)
def test_anything_else_names_none(answer: ResponseDone) -> None:
    assert created(request(), answer) == []


def test_who_is_asked_was_given_none() -> None:
    assert created(request(direction="received"), response(f'{{"Id": "{ID}"}}'.encode())) == []


@pytest.mark.parametrize(
    ("method", "target", "does"),
    [
        ("POST", "/containers/create", True),
        ("POST", "/v1.43/containers/create?name=a&platform=", True),
        ("GET", "/v1.43/containers/create", False),
        ("POST", "/v1.43/containers/create/x", False),
        ("POST", f"/v1.43/containers/{ID}/start", False),
        ("POST", "/x/containers/create", False),
    ],
)
def test_one_request_makes_containers(method: str, target: str, *, does: bool) -> None:
    assert creates(method, target, ()) is does


def test_a_connection_remembers_a_bounded_number_of_requests() -> None:
    seen = Created()
    for index in range(200):
        seen.feed(
            RequestDone(**{**{f: getattr(request(), f) for f in request().__struct_fields__}, "index": index})
        )
    seen.feed(response(f'{{"Id": "{ID}"}}'.encode(), index=0))
    assert seen.taken() == []


def test_the_cgroup_is_named_after_it() -> None:
    assert cgroup_names(ID) == (f"docker-{ID}.scope", ID)
