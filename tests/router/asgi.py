"""Calls to an app without a socket."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """Sends one request at a time, each in an event loop of its own."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        return asyncio.run(self._send("GET", path, headers=dict(headers)))

    def post(
        self,
        path: str,
        headers: Mapping[str, str] | Mapping[str, bytes | str],
        *,
        json: object = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        body = {"json": json} if content is None else {"content": content}
        return asyncio.run(self._send("POST", path, headers=dict(headers), **body))

    def send(self, method: str, path: str, headers: Mapping[str, str], *, json: object) -> httpx.Response:
        body = {} if method == "GET" else {"json": json}
        return asyncio.run(self._send(method, path, headers=dict(headers), **body))

    def request(self, method: str, url: str, **how: Any) -> httpx.Response:
        """Send anything that httpx can."""
        return asyncio.run(self._send(method, url, **how))

    async def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://soko.test") as client:
            return await client.request(method, path, **how)
