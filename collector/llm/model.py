"""What a model was asked and what it answered, the same for every API. Text only as far as it is visible."""

from __future__ import annotations

from typing import Literal

import msgspec

from polygraph.events import Api

ToolKind = Literal["function", "custom", "local_shell", "shell", "apply_patch", "builtin"]

#: most tool calls of one answer, and most content blocks where calls are some of them
MAX_CALLS = 1024
MAX_BLOCKS = 4096
#: finish reasons of all APIs, in lower case
_CUT_OFF = frozenset(
    {
        *("length", "model_length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"),
        *("content_filter", "content_filtered", "guardrail_intervened", "safety", "recitation", "language"),
        *("blocklist", "prohibited_content", "spii", "refusal"),
        *("error", "timeout", "malformed_function_call"),
    }
)


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call that the model asked for. ``arguments``: JSON text, or the raw input of a custom tool.

    ``builtin``: the provider runs it, so nothing of it happens on this host.
    """

    id: str
    name: str
    arguments: str
    kind: ToolKind = "function"


class ToolResultItem(msgspec.Struct, frozen=True):
    """What a request says was the result of call ``call_id``; ``exit_code`` only where a field states it.

    ``made_id``: what the call is called here where its API gave it no id and ``call_id`` is the client's own
    (turns.py).
    """

    call_id: str
    text: str
    is_error: bool = False
    exit_code: int | None = None
    made_id: str = ""


class Usage(msgspec.Struct, frozen=True):
    """Tokens. ``input`` includes the ``cached`` ones, as in OpenTelemetry's gen_ai.usage.input_tokens."""

    input: int = 0
    output: int = 0
    cached: int = 0


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, with the results and calls of the whole conversation that it carries."""

    api: Api
    model: str = ""
    stream: bool = False
    tool_results: tuple[ToolResultItem, ...] = ()
    tool_calls_in_history: tuple[ToolCall, ...] = ()
    #: text of the last message of the user
    user_text: str = ""
    #: all that the user and the instructions say: texts of this and of earlier turns
    told: tuple[str, ...] = ()
    #: characters of system prompt and instructions
    instructions_size: int = 0
    message_count: int = 0
    #: the conversation before this request is known to the provider only (OpenAI Responses)
    previous_response_id: str | None = None
    #: where an API gives its calls no ids: which turn of which conversation the answer is (turns.py)
    turn: str = ""


class ModelResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. ``text`` is what the user is shown, without thinking.

    ``complete`` False: it broke off; ``tool_calls`` has the whole ones only. ``error``: the provider's word.
    """

    api: Api
    response_id: str | None = None
    model: str = ""
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str | None = None
    usage: Usage = Usage()
    complete: bool = True
    error: str | None = None

    @property
    def cut_off(self) -> bool:
        """It reached a bound or a filter: its last sentence and last call may be the beginning of one."""
        return self.finish is not None and self.finish.lower() in _CUT_OFF
