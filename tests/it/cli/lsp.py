"""A client of the Language Server Protocol, as editors are: `lsp.py WINDLASS`."""

import asyncio
import json
import sys

from lsprotocol import types
from pygls.lsp.client import BaseLanguageClient

GOOD = "document: { dsl: 1.0.3, namespace: a, name: b, version: 1.0.0 }\ndo:\n- a:\n    set: { x: 1 }\n"
WRONG = GOOD + "- b:\n    call: http\n    with:\n      method: get\n      endpoint: http://a\n      outptu: raw\n"
WRITTEN = WRONG.replace("      outptu: raw\n", "      ou\n")
TESTS = "workflow: a.yaml\ncases:\n- name: a\n  expct: {}\n"


async def main(windlass):
    client = BaseLanguageClient("tests", "1")
    found = asyncio.Queue()

    @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def published(told):
        found.put_nowait(told)

    await client.start_io(windlass, "lsp")
    about = await client.initialize_async(
        types.InitializeParams(capabilities=types.ClientCapabilities()))
    client.initialized(types.InitializedParams())
    said = {"server": about.server_info.name}

    async def opened(uri, text):
        item = types.TextDocumentItem(uri=uri, language_id="yaml", version=1, text=text)
        client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))
        return await diagnostics()

    async def diagnostics():
        told = await asyncio.wait_for(found.get(), 60)
        return [[it.code, it.range.start.line, it.range.start.character, it.severity.value] for it in told.diagnostics]

    async def changed(uri, text):
        client.text_document_did_change(types.DidChangeTextDocumentParams(
            text_document=types.VersionedTextDocumentIdentifier(uri=uri, version=2),
            content_changes=[types.TextDocumentContentChangeEvent_Type2(text=text)]))
        return await diagnostics()

    uri = "file:///a.yaml"
    document = types.TextDocumentIdentifier(uri=uri)
    said["wrong"] = await opened(uri, WRONG)
    said["good"] = await changed(uri, GOOD)
    await changed(uri, WRITTEN)
    completion = await client.text_document_completion_async(types.CompletionParams(
        text_document=document, position=types.Position(line=9, character=8)))
    said["completion"] = [it.label for it in completion]
    hover = await client.text_document_hover_async(types.HoverParams(
        text_document=document, position=types.Position(line=7, character=8)))
    said["hover"] = hover.contents.value
    said["tests"] = await opened("file:///a.test.yaml", TESTS)
    await client.shutdown_async(None)
    client.exit(None)
    code = await asyncio.wait_for(client._server.wait(), 60)
    said["code"] = code
    print(json.dumps(said))


asyncio.run(main(sys.argv[1]))
