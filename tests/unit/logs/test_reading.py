"""A log is read whoever wrote it, and what cannot be read is counted and costs nothing else."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.logs import LogFile, LoggedCall


def calls_of(folder: Path, *rows: Any) -> list[LoggedCall]:
    path = folder / "log.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return list(LogFile(path))


OPENAI = {
    "custom_id": "1",
    "body": {
        "model": "gpt-x",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is BGP?"}],
    },
    "response": {
        "body": {
            "created": 1750000000,
            "usage": {"prompt_tokens": 12, "completion_tokens": 5},
            "choices": [{"message": {"role": "assistant", "content": "a protocol"}}],
        }
    },
}
ANTHROPIC = {
    "request": {
        "model": "claude-x",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What is BGP?"}]}],
    },
    "response": {
        "usage": {"input_tokens": 12, "output_tokens": 5},
        "content": [{"type": "text", "text": "a protocol"}],
    },
    "timestamp": "2025-06-15T15:06:40Z",
}
LANGSMITH = {
    "run_type": "llm",
    "start_time": "2025-06-15T15:06:40",
    "end_time": "2025-06-15T15:06:42",
    "inputs": {
        "messages": [
            [
                {"id": ["langchain", "schema", "messages", "SystemMessage"], "kwargs": {"content": "Be brief."}},
                {"id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "What is BGP?"}},
            ]
        ]
    },
    "outputs": {"generations": [[{"text": "a protocol"}]], "llm_output": {"token_usage": {"prompt_tokens": 17}}},
    "extra": {"metadata": {"ls_model_name": "model-x"}},
}


@pytest.mark.parametrize("row", [OPENAI, ANTHROPIC, LANGSMITH], ids=["openai", "anthropic", "langsmith"])
def test_a_call_is_read_from_what_its_framework_wrote(row: dict[str, Any], tmp_path: Path) -> None:
    (call,) = calls_of(tmp_path, row)
    assert call.request.text == "What is BGP?"
    assert call.request.model.endswith("-x")
    assert "Be brief." in json.dumps(call.request.context)
    assert call.at == 1750000000.0
    assert call.usage.total_tokens == 17
    assert call.answer_bytes == len("a protocol")


def test_a_run_of_langsmith_says_how_long_it_took_and_other_runs_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(LANGSMITH) + "\n" + json.dumps({**LANGSMITH, "run_type": "chain"}), encoding="utf-8")
    log = LogFile(path)
    (call,) = log
    assert call.seconds == 2.0
    assert dict(log.left_out) == {"another kind of run than llm": 1}


def test_the_answer_at_the_end_of_a_logged_conversation_is_no_part_of_the_question(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "What is BGP?"}]
    answered = [*asked, {"role": "assistant", "content": "a protocol"}]
    first, second = calls_of(tmp_path, {"messages": asked}, {"messages": answered})
    assert first.key() == second.key()


def test_another_system_prompt_is_another_key_and_other_spelling_is_not(tmp_path: Path) -> None:
    base = {"question": "What is BGP?"}
    plain, spelled, framed = calls_of(tmp_path, base, "what is  BGP", {**base, "system": "Be brief."})
    assert plain.key() == spelled.key() != framed.key()


def test_a_csv_with_tokens_and_times(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('Prompt,Model,latency_ms,prompt_tokens,time\n"What, then?",m,1500,7,1750000000\nx,y\n')
    log = LogFile(path)
    (call,) = log
    assert (call.request.text, call.request.model, call.seconds) == ("What, then?", "m", 1.5)
    assert (call.usage.input_tokens, call.at) == (7, 1750000000.0)
    assert dict(log.left_out) == {"another number of cells than names": 1}


def test_a_gzipped_log_is_known_by_its_bytes_and_a_damaged_one_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    rows = "".join(f"question number {number} of many\n" for number in range(5000))
    packed = gzip.compress(rows.encode())
    path = tmp_path / "log"
    path.write_bytes(packed)
    assert len(list(LogFile(path))) == 5000
    path.write_bytes(packed[: len(packed) // 2])
    log = LogFile(path)
    assert 0 < len(list(log)) < 5000
    assert dict(log.left_out) == {"the packed file ends early or is damaged": 1}


def test_bad_lines_are_counted_by_kind_and_never_quoted(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = ["{not json", '{"answer": "secret"}', '{"messages": ["secret"]}', '{"query": 3}', "ok"]
    path.write_text("\n".join(lines), encoding="utf-8")
    log = LogFile(path)
    assert [call.request.text for call in log] == ["ok"]
    assert dict(log.left_out) == {"not JSON": 1, "no question": 2, "messages of an unknown form": 1}
    assert "secret" not in repr(log.left_out)


def test_an_endless_line_is_left_out_and_what_follows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("x" * (9 * 2**20) + "\nok\n", encoding="utf-8")
    log = LogFile(path)
    assert [call.request.text for call in log] == ["ok"]
    assert dict(log.left_out) == {"a line of more than 4 MiB": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"input_tokens": "many", "latency": "soon", "at": "yesterday", "model": 3},
        {"input_tokens": -1, "latency": -2.0, "at": float("nan")},
        {"input_tokens": True, "latency": None, "at": True},
    ],
)
def test_nonsense_beside_a_question_does_not_cost_the_question(fields: dict[str, Any], tmp_path: Path) -> None:
    (call,) = calls_of(tmp_path, {"question": "What is BGP?", **fields})
    assert (call.usage.total_tokens, call.seconds, call.at, call.request.model) == (0, None, None, "")


def test_what_a_call_prints_holds_no_question(tmp_path: Path) -> None:
    (call,) = calls_of(tmp_path, {"question": "my secret", "answer": "another secret"})
    assert "secret" not in repr(call)


def test_the_limit_ends_the_reading_and_the_reading_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("a\nb\nc\n")
    log = LogFile(path, limit=2)
    assert [call.request.text for call in log] == [call.request.text for call in log] == ["a", "b"]
    assert log.calls == 2


def test_progress_reaches_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("question\n" * 2500)
    told: list[tuple[int, int]] = []
    list(LogFile(path, progress=lambda done, total: told.append((done, total))))
    size = path.stat().st_size
    assert len(told) >= 3
    assert told[-1] == (size, size)


def test_a_wrong_path_or_limit_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        LogFile(tmp_path / "none")
    (tmp_path / "log").write_text("a")
    with pytest.raises(ConfigError, match="limit must be an integer of at least 1"):
        LogFile(tmp_path / "log", limit=0)


RANDOM = random.Random(7).randbytes(200_000)
LINES = "".join(f"Where is the rack {number} of Zürich?\n" for number in range(50))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (RANDOM, "is not UTF-8 text: a log is JSON lines"),
        (b"SQLite format 3\0" + bytes(4000) + b"question\n" * 100, "is not UTF-8 text"),
        (LINES.encode("utf-16-le"), "is not UTF-8 text"),
        (LINES.encode("utf-16"), "is UTF-16, not UTF-8; write it anew: iconv -f UTF-16"),
        (LINES.encode("utf-32"), "is UTF-32, not UTF-8; write it anew: iconv -f UTF-32"),
    ],
    ids=["random", "data base", "utf-16 without a mark", "utf-16", "utf-32"],
)
def test_what_is_no_text_is_no_log(content: bytes, says: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "log.dat"
    path.write_bytes(pack(content))
    with pytest.raises(ConfigError, match=re.escape(f"{path} {says}")):
        list(LogFile(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_broken_characters_and_a_mark_cost_no_line(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(LINES.encode(encoding))
    first, *others = LogFile(path)
    assert first.request.text.startswith("Where is the rack 0 of Z")
    assert len(others) == 49


def test_a_few_broken_bytes_and_long_runs_of_other_scripts_are_text(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(("路由器在哪里" * 5 + "\n").encode() * 3000 + RANDOM[:1000])
    assert len(list(LogFile(path))) >= 3000
    path.write_bytes(b"\xff\x00 in the middle of the first question, which is read all the same\nok\n")
    assert len(list(LogFile(path))) == 2


@pytest.mark.parametrize(
    "content", ['[{"question": "a"},\n{"question": "b"}]', '[\n{"question": "a"}\n]', '{\n"question": "a"\n}']
)
def test_a_file_that_is_one_piece_of_json_is_not_read_as_questions(content: str, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(content)
    with pytest.raises(ConfigError, match="one piece of JSON"):
        list(LogFile(tmp_path / "log.json"))


def test_a_cell_of_a_csv_keeps_its_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('question\n"first\n\nlast"\n\nplain\n')
    assert [call.request.text for call in LogFile(tmp_path / "log.csv")] == ["first\n\nlast", "plain"]


def test_a_call_nested_too_deeply_is_left_out(tmp_path: Path) -> None:
    deep = '{"messages": [{"role": "user", "content": "hi", "extra": ' + "[" * 900 + "]" * 900 + "}]}"
    deeper = '{"body": ' * 900 + "{}" + "}" * 900
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([deep, deeper, "ok"]))
    log = LogFile(path)
    assert [call.request.text for call in log][-1] == "ok"
    assert log.calls + sum(log.left_out.values()) == 3
