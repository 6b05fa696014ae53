"""The least that stands between a client and a provider in Python: a bare Starlette application that hands on what a
bare httpx client streams. It reads, decides, counts and keeps nothing:

    python benchmarks/handed_on.py PORT PROVIDERS_PORT
"""

from __future__ import annotations

import sys

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

PATH = "/v1/chat/completions"


def handing_on(provider: int) -> Starlette:
    """The application, before a provider at the loopback port `provider`."""
    http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{provider}", trust_env=False, timeout=None)

    async def answer(request: Request) -> StreamingResponse:
        asked = http.build_request("POST", PATH, content=await request.body())
        response = await http.send(asked, stream=True)
        kind = response.headers["content-type"]
        return StreamingResponse(response.aiter_raw(), media_type=kind, background=BackgroundTask(response.aclose))

    return Starlette(routes=[Route(PATH, answer, methods=["POST"])])


if __name__ == "__main__":
    port, provider = map(int, sys.argv[1:])
    uvicorn.run(handing_on(provider), port=port, http="h11", loop="asyncio", log_level="warning")
