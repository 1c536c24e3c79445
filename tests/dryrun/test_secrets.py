"""No secret is in a dry run, whatever way it takes."""

from __future__ import annotations

import json

import pytest

import flowlang
from flowlang import api
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRegistry
from flowlang.views.dryrun import dry_run_record, dry_run_text
from flowlang.views.jsontext import record_json

CANARY = "canary-7f3a91"
SHORT = "k9"  # too short to be searched for in texts
FLOW = """
flow: holding
inputs:
  - {name: word, type: string, secret: true, required: true}
  - {name: list, type: array, default: [1]}
connections:
  api: {type: vault, url: "https://user:canary-7f3a91@host/x", token: "${secrets.TOKEN}", key: k9}
vars:
  copy: "${inputs.word}"
steps:
  - note: {id: a, text: "${secrets.TOKEN}"}
  - note: {id: b, text: "Bearer ${inputs.word} ${a.said}"}
  - note: {id: c, text: "${vars.copy}", if: "secrets.TOKEN == 'canary-7f3a91'"}
  - set: {x: "${secrets.TOKEN}", y: "${base64(inputs.word)}"}
    id: s
  - log: "it is ${secrets.TOKEN} ${a.said}"
  - for_each: "${inputs.list}"
    do: [{note: {id: d, text: "${s.x}", more: ["${inputs.word}", "${item}"]}}]
  - switch: "${secrets.TOKEN}"
    cases: [{when: canary-7f3a91, do: [{log: "yes ${inputs.word}"}]}]
  - exit: {reason: "${inputs.word}", outputs: {o: "${s.y}"}}
outputs:
  - {name: o, value: "${s.y}"}
"""


class Vault(ConnectionPlugin):
    name = "vault"
    description = "keeps"
    version = "1.0.0"

    def get_config_schema(self) -> dict:  # type: ignore[type-arg]
        secret = {"type": "string", "writeOnly": True}
        return {"type": "object", "properties": {"url": {"type": "string"}, "token": secret, "key": secret}}

    async def connect(self, config: dict) -> None:  # type: ignore[type-arg]
        raise AssertionError("nothing is opened")

    async def disconnect(self) -> None:
        raise AssertionError

    async def get_connection(self) -> object:
        raise AssertionError

    async def release_connection(self, connection: object) -> None:
        raise AssertionError

    def get_builtin_tasks(self) -> dict:  # type: ignore[type-arg]
        return {"note": self.note}

    async def note(self, text: str, more: list | None = None, *, connection: object) -> dict:  # type: ignore[type-arg]
        raise AssertionError


@pytest.mark.parametrize("secret", [CANARY, SHORT])
@pytest.mark.parametrize("given", [True, False])
def test_a_secret_is_in_no_form_of_a_dry_run(secret: str, given: bool) -> None:
    registry = PluginRegistry()
    registry.register(Vault())
    text = FLOW.replace("'canary-7f3a91'", f"'{secret}'").replace("when: canary-7f3a91", f"when: {secret}")
    assert flowlang.check(text=text, registry=registry).ok
    secrets = {"TOKEN": secret} if given else {}
    told = api.plan(text=text, inputs={"word": secret} if given else {}, secrets=secrets, registry=registry, env={})
    shown = dry_run_text(told) + record_json(dry_run_record(told))
    hidden = [CANARY] if not given or secret == CANARY else [CANARY, SHORT]
    shown = shown.replace(f"TOKEN == '{SHORT}'", "")  # what the flow's author wrote out is no secret by itself
    assert [each for each in hidden if each in shown] == []
    assert "***" in shown
    assert json.loads(record_json(dry_run_record(told)))["calls"][0]["path"] == "a"
