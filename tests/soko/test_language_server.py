"""`soko flow lsp`: an editor is told what the check finds, while it is typed and before it is saved."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.soko.test_cli import ROOT


class Editor:
    """The client's side of the protocol."""

    def __init__(self, to_server: IO[bytes], from_server: IO[bytes]) -> None:
        self.to_server, self.from_server = to_server, from_server
        self.tell("initialize", {"capabilities": {}, "processId": None, "rootUri": None}, number=1)
        assert self.hear()["result"]["capabilities"]["textDocumentSync"]
        self.tell("initialized", {})

    def tell(self, method: str, params: dict[str, Any], number: int | None = None) -> None:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params} | ({"id": number} if number else {})).encode()
        self.to_server.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.to_server.flush()

    def hear(self) -> dict[str, Any]:
        length = 0
        while line := self.from_server.readline().strip():
            name, _, value = line.partition(b": ")
            length = int(value) if name == b"Content-Length" else length
        return dict(json.loads(self.from_server.read(length)))

    def problems(self) -> tuple[str, list[dict[str, Any]]]:
        told = self.hear()
        assert told["method"] == "textDocument/publishDiagnostics"
        return told["params"]["uri"], told["params"]["diagnostics"]


@pytest.fixture
def editor() -> Iterator[Editor]:
    with subprocess.Popen(
        [sys.executable, "-m", "soko", "flow", "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield Editor(server.stdin, server.stdout)
        server.stdin.close()
        server.wait(20)


def test_a_mistake_is_underlined_while_it_is_typed_and_gone_when_it_is_mended(editor: Editor, tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    shutil.copytree(ROOT / "flows", flows)
    uri = (flows / "shop.yaml").as_uri()
    text = (flows / "shop.yaml").read_text()
    wrong = text.replace("🛒", "🛒 {{ custmer.name }}", 1)
    editor.tell("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": wrong}})

    told = dict([editor.problems(), editor.problems()])

    (problem,) = told[uri]
    (stale,) = told[(flows / "text" / "sw.yaml").as_uri()]  # its translation is of the text before
    assert stale["code"] == "L1"
    assert (problem["code"], problem["severity"], problem["source"]) == ("X2", 1, "soko")
    assert problem["message"] == "there is nothing called `custmer` here\ndid you mean `customer`?"  # as the terminal says it
    line = wrong.splitlines()[problem["range"]["start"]["line"]]
    units = line.encode("utf-16-le")
    start, end = (problem["range"][side]["character"] * 2 for side in ("start", "end"))
    assert units[start:end].decode("utf-16-le").startswith("custmer")
    editor.tell("textDocument/didChange", {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": text}]})
    assert dict([editor.problems(), editor.problems()]) == {each: [] for each in told}
