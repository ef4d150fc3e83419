"""A service as FastAPI's own tutorial writes it; `/openapi.json` is made by the framework."""

from typing import Annotated

from fastapi import Depends, FastAPI, Form, Header, HTTPException, Query, UploadFile
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

app = FastAPI()
key = APIKeyHeader(name="X-Key")


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


@app.put("/items/{item_id}")
def update_item(
    item_id: int,
    item: Item,
    q: Annotated[list[str], Query()] = [],
    x_trace: Annotated[str | None, Header()] = None,
):
    return {"id": item_id, "item": item, "q": q, "trace": x_trace}


@app.post("/login")
def login(username: Annotated[str, Form()], password: Annotated[str, Form()]):
    return {"username": username, "length": len(password)}


@app.post("/files")
async def upload(note: Annotated[str, Form()], file: UploadFile):
    return {"note": note, "name": file.filename, "text": (await file.read()).decode()}


@app.get("/guarded", dependencies=[Depends(key)])
def guarded(given: Annotated[str, Depends(key)]):
    if given != "k&1":
        raise HTTPException(403)
    return "in"
