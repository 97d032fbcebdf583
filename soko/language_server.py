"""What an editor asks while somebody writes flows: the problems that `soko flow check` finds, as they are typed.

Speaks the Language Server Protocol on stdin and stdout. Source: LSP 3.17, textDocument/publishDiagnostics.
"""

from collections import defaultdict
from pathlib import Path
from typing import Final

from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer

from conversation.authoring.load import check_folder
from conversation.authoring.problems import Problem
from conversation.services import CATALOGUE

APP_FILE: Final = "app.yaml"


class FlowServer(LanguageServer):
    """Checks the folder of flows that an edited file belongs to, with what the editor shows of its files."""

    def __init__(self) -> None:
        super().__init__("soko", "1")
        self._told: defaultdict[Path, set[str]] = defaultdict(set)

    def check(self, uri: str) -> None:
        """Tell the problems of the folder, file by file; a file that has none any more is told so."""
        folder = _folder_of(uri)
        if folder is None:
            return
        documents = self.workspace.text_documents.values()
        unsaved = {_shown(folder, Path(document.path)): document.source.encode() for document in documents}
        found: defaultdict[str, list[Problem]] = defaultdict(list)
        for problem in check_folder(folder, CATALOGUE, unsaved=unsaved).problems:
            found[_uri(folder, problem.at.file)].append(problem)
        for each in self._told[folder] | found.keys():
            diagnostics = [self._to_diagnostic(each, problem) for problem in found[each]]
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri=each, diagnostics=diagnostics))
        self._told[folder] = {each for each, problems in found.items() if problems}

    def _to_diagnostic(self, uri: str, problem: Problem) -> types.Diagnostic:
        at = problem.at
        start = types.Position(line=at.line - 1, character=at.column - 1)
        end = types.Position(line=at.line - 1, character=at.column - 1 + at.width)
        codec = self.workspace.position_codec  # editors count in UTF-16 unless they say otherwise
        lines = self.workspace.get_text_document(uri).lines
        return types.Diagnostic(
            range=codec.range_to_client_units(lines, types.Range(start=start, end=end)),
            message=problem.said,
            severity=types.DiagnosticSeverity.Warning if problem.warns else types.DiagnosticSeverity.Error,
            code=problem.code,
            source="soko",
        )


def build_server() -> FlowServer:
    """Make a server that checks whenever a file is opened, edited, saved or closed."""
    server = FlowServer()

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def look(params: types.DidOpenTextDocumentParams) -> None:
        server.check(params.text_document.uri)

    return server


def _folder_of(uri: str) -> Path | None:
    path = uris.to_fs_path(uri)
    return next((folder for folder in Path(path).parents if (folder / APP_FILE).is_file()), None) if path else None


def _shown(folder: Path, path: Path) -> str:
    """The name that the check gives a file, e.g. flows/text/sw.yaml; of one elsewhere, its path."""
    return f"{folder.name}/{path.relative_to(folder).as_posix()}" if path.is_relative_to(folder) else str(path)


def _uri(folder: Path, shown: str) -> str:
    return uris.from_fs_path(str(folder.parent / shown)) or shown
