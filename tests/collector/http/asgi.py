"""hypercorn, a server of HTTP/2 in use, on loopback: :func:`serving`."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.agents.pki import Certificates

Json = dict[str, Any]
Send = Callable[[Json], Awaitable[None]]
#: ``answer(scope, body, send)``: what is done with a request, by the words of ASGI
Answer = Callable[[Json, bytes, Send], Awaitable[None]]


@contextmanager
def serving(answer: Answer, certificates: Certificates | None = None) -> Iterator[int]:
    """Answers requests until the end of the block: its port. With certificates, HTTP/2 within TLS and nothing else."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await answer(scope, body, send)

    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    if certificates is not None:
        config.certfile, config.keyfile = str(certificates.chain), str(certificates.key)
        config.alpn_protocols = ["h2"]
    config.accesslog = config.errorlog = None
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete,
        args=(serve(app, config, shutdown_trigger=over.wait),),
    )
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
