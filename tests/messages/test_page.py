"""The config on the page about filtering messages does what the page says."""

from __future__ import annotations

import json
from pathlib import Path

from tests.repo.pages import ROOT, blocks_of

from easews.testing import conversation, load_config

PAGE = ROOT / "docs" / "how-to" / "filter-messages.md"


async def test_the_config_of_the_page_checks_limits_hides_and_logs(tmp_path: Path) -> None:
    (config,) = (block.text for block in blocks_of(PAGE) if block.language == "yaml")
    file = tmp_path / "messages.jsonl"
    config = config.replace("file: messages.jsonl", f"file: {file}")
    async with conversation(load_config(config)) as talk:
        await talk.client.sends('{"text": "hi", "token": "secret"}', '{"texts": "hi"}')
        await talk.backend.receives('{"text": "hi", "token": "secret"}')
        await talk.client.receives_json({"error": "$ lacks 'text'"})
        await talk.backend.sends('{"card": "4000123412341234"}')
        await talk.client.receives_json({"card": "***1234"})
        await talk.client.sends(*['{"text": ""}'] * 9)
        await talk.backend.receives(*['{"text": ""}'] * 8)
        await talk.backend.receives_nothing()
        await talk.clock.advance(0.2)
        await talk.backend.receives('{"text": ""}')
    first, second, *others = (json.loads(line) for line in file.read_text().splitlines())
    assert first["content"] == '{"text":"hi","token":"[redacted]"}'
    assert second["content"] == '{"card":"[redacted]"}'
    assert len(others) == 9
