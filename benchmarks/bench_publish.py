"""Publishing 1,000 objects side by side, against copying one after the other.

S3 answers a copy after about 30 ms; an emulator on the same machine would saturate long before the
client does, so a small server that only waits and answers stands in for S3.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from medlaunch.aws.objects import CLIENT_CONFIG, Copy, copy_object, copy_objects

REPLY_SECONDS = 0.030
OBJECTS = 1000
_BODY = (
    b'<?xml version="1.0" encoding="UTF-8"?><CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<ETag>&quot;0&quot;</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></CopyObjectResult>"
)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


async def _serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(REPLY_SECONDS)
            writer.write(_ANSWER)
            await writer.drain()
    # Cancelled where the server stops: to let it through would only make asyncio print a traceback for each.
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def slow_s3() -> Iterator[str]:
    """A server that answers every copy after the reply time; yields its URL."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_serve_connection, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def run() -> list[dict[str, Any]]:
    """One row: seconds one after the other, seconds side by side, and the ratio."""
    copies = [Copy(f"staging/{n}", f"prod/{n}", 1) for n in range(OBJECTS)]
    with slow_s3() as url:
        client = boto3.client(
            "s3",
            endpoint_url=url,
            config=CLIENT_CONFIG,
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench",  # noqa: S106
        )
        copy_objects(client, "bucket", copies[:64])  # connections are opened
        started = time.perf_counter()
        copy_objects(client, "bucket", copies)
        together = time.perf_counter() - started
        started = time.perf_counter()
        for copy in copies:
            copy_object(client, "bucket", copy)
        alone = time.perf_counter() - started
    return [
        {
            "what": f"publish {OBJECTS:,} objects, {REPLY_SECONDS * 1000:.0f} ms a reply",
            "plain": f"{alone:.1f} s one after the other",
            "ours": f"{together:.2f} s",
            "ratio": alone / together,
            "goal": ">= 20",
        }
    ]


if __name__ == "__main__":
    print(run())
