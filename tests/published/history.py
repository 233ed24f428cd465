"""The conversation of a capture from its last request, which repeats all of it.

AgentSight lost the end of most streams, and the client did not: what it got, it sends with each later request. So
here is the same conversation as if no byte had been lost: each answer whole, as one JSON body. Its words and tool
calls are the client's record of them; only that they come in one piece is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.published.capture import Exchange, Json, Message

#: what a request calls its conversation, and who the model is in it
_FIELDS = (("messages", "assistant"), ("contents", "model"))
#: of the model whose conversation it is; clients ask others beside it, about topics, or who speaks next
_MODELS = frozenset({"claude-sonnet-4-20250514", "gemini-2.5-pro"})
#: from a request to its answer, and from that to the next request, ns: the captures' own times are of other messages
_TURN = 500_000_000


def whole(messages: tuple[Message, ...]) -> list[Exchange]:
    """The calls of the conversation's model, each with its whole answer, in place of what was captured."""
    requests = [message for message in messages if _of_the_conversation(message)]
    last = requests[-1]
    body: Json = json.loads(last.body)
    inner: Json = body.get("request", body)
    field, own = next(names for names in _FIELDS if names[0] in inner)
    said: list[Json] = inner[field]
    path = last.path.replace(":streamGenerateContent", ":generateContent").removesuffix("?alt=sse")
    talk: list[Exchange] = []
    ts = requests[0].timestamp
    for begin, end in _answers(said, own):
        asked = inner | {field: said[:begin]}
        sent = json.dumps(body | {"request": asked} if "request" in body else asked)
        got = json.dumps(_answer(field, said[begin:end]))
        talk.append(
            Exchange(
                msgspec.structs.replace(last, path=path, timestamp=ts, body=sent),
                Message(type="response", timestamp=ts + _TURN, status_code=200, status_text="OK", body=got),
            )
        )
        ts += 2 * _TURN
    return [*talk, Exchange(msgspec.structs.replace(last, timestamp=ts))]


def _of_the_conversation(message: Message) -> bool:
    calls = message.path.startswith("/v1/messages?") or "streamGenerateContent" in message.path
    return calls and json.loads(message.body)["model"] in _MODELS


def _answers(said: list[Json], own: str) -> Iterator[tuple[int, int]]:
    """From where to where the model speaks; Gemini's client keeps a text and a call of one answer apart."""
    begin = 0
    for index, one in enumerate(said):
        if one["role"] != own:
            begin = index + 1
        elif index + 1 == len(said) or said[index + 1]["role"] != own:
            yield begin, index + 1


def _answer(field: str, said: list[Json]) -> Json:
    if field == "messages":
        content: list[Any] = [part for one in said for part in one["content"]]
        return {
            "type": "message",
            "id": "msg",
            "role": "assistant",
            "content": content,
            "stop_reason": "end_turn",
        }
    parts = [part for one in said for part in one["parts"]]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
    return {"response": {"candidates": [candidate]}}
