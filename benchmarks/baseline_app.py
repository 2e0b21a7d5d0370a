"""What most would write first: FastAPI, a pydantic model, and one publish an event. ``/request`` is the bare floor."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import nats
from fastapi import FastAPI
from pydantic import BaseModel, Field

from functions.shared.adapters.nats_names import NAMES


class Event(BaseModel):
    event_id: UUID
    event_type: str = Field(min_length=1, max_length=64)
    event_name: str = Field(min_length=1, max_length=256)
    platform: str = Field(min_length=1, max_length=32)
    timestamp: datetime
    session_id: UUID | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}


class Batch(BaseModel):
    events: list[Event]


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    client = await nats.connect(os.environ["WEIR_NATS_URL"])
    app.state.stream = client.jetstream()
    yield
    await client.close()


app = FastAPI(lifespan=connected)


@app.post("/event", status_code=202)
async def one_publish_an_event(batch: Batch) -> dict[str, int]:
    for event in batch.events:
        await app.state.stream.publish(NAMES.subject, event.model_dump_json().encode())
    return {"accepted": len(batch.events)}


@app.post("/request", status_code=202)
async def one_publish_a_request(batch: Batch) -> dict[str, int]:
    await app.state.stream.publish(NAMES.subject, batch.model_dump_json().encode())
    return {"accepted": len(batch.events)}
