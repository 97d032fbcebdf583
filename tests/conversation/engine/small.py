"""Bundles written in a test, with the real catalogue."""

from conversation.authoring.load import build_bundle
from conversation.engine.flow import Bundle
from conversation.services import CATALOGUE

APP = b"""
app: soko
languages: {base: en, also: [sw]}
timezone: Africa/Nairobi
channel: whatsapp
flows: [%s]
trouble: Sorry.
"""
LATE = """
flow: late_payment
starts_when: [{event: payments.result}]
states:
  arrived: {end: quiet}
"""


def bundle_of(*flows: str, sw: str = "") -> Bundle:
    """Load flows given as YAML text."""
    return build_bundle(files_of(*flows, sw=sw), CATALOGUE)


def files_of(*flows: str, sw: str = "") -> dict[str, bytes]:
    names = [next(line for line in flow.splitlines() if line.startswith("flow:"))[5:].strip() for flow in flows]
    files = {f"flows/{name}.yaml": flow.strip().encode() + b"\n" for name, flow in zip(names, flows, strict=True)}
    files["flows/app.yaml"] = APP.strip() % ", ".join(names).encode()
    if sw:
        files["flows/text/sw.yaml"] = sw.encode()
    return files
