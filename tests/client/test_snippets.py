"""The snippets of the guide: the guide shows the files as they are; those of curl and Python do what it says, against a running node."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.testing.node import NodeInTest, node_in_test
from bus.testing.sandbox import webhook_secret

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "examples" / "events"
SNIPPETS = SITE / "snippets"
SHOWN = re.compile(r"<!-- examples/events/snippets/(\S+) -->\n```(\w+)\n(.*?)\n```\n", re.DOTALL)
LANGUAGES = {".sh": "sh", ".py": "python", ".java": "java", ".cs": "csharp"}

ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT / "client")}

Run = Callable[..., str]
Start = Callable[..., "subprocess.Popen[str]"]


def _command(name: str, *arguments: str) -> list[str]:
    return ["sh" if name.endswith(".sh") else sys.executable, str(SNIPPETS / name), *arguments]


def _line(process: subprocess.Popen[str], beginning: str) -> str:
    """The first line that begins so."""
    assert process.stdout is not None
    return next(line for line in process.stdout if line.startswith(beginning))


@pytest.mark.parametrize("guide", ["events.md", "events.ja.md"])
def test_the_guide_shows_every_snippet_as_it_is(guide: str) -> None:
    shown = SHOWN.findall((ROOT / "docs" / "guide" / guide).read_text("utf-8"))
    assert {name for name, _, _ in shown} == {path.name for path in SNIPPETS.iterdir() if path.is_file()}
    for name, language, text in shown:
        assert language == LANGUAGES[Path(name).suffix]
        assert text + "\n" == (SNIPPETS / name).read_text("utf-8"), f"{guide} shows another {name}"


def test_the_snippets_of_amqp_are_python() -> None:
    for name in ("publish_amqp.py", "consume_amqp.py"):
        ast.parse((SNIPPETS / name).read_text("utf-8"))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The snippet that is called, and its URL. It listens before the node has anything to tell."""
    secret = tmp_path_factory.mktemp("receiver") / "secret"
    secret.write_text(webhook_secret("welfare"), "ascii")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    environment = {**ENVIRONMENT, "PORT": port, "WEBHOOK_SECRET": str(secret)}
    with subprocess.Popen(_command("webhook.py"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            _line(process, "listening")
            yield process, f"http://127.0.0.1:{port}/renkei"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, receiver: tuple[subprocess.Popen[str], str]) -> Iterator[NodeInTest]:
    with node_in_test(SITE, tmp_path_factory.mktemp("snippets"), {"welfare": receiver[1]}) as running:
        yield running


@pytest.fixture
def environment(node: NodeInTest) -> dict[str, str]:
    return {**ENVIRONMENT, "RENKEI_URL": node.url}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def run(name: str, *arguments: str, ends: int = 0, **variables: str) -> str:
        ended = subprocess.run(
            _command(name, *arguments),
            env=environment | variables, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == ends, ended.stdout + ended.stderr
        return ended.stdout

    return run


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    begun: list[subprocess.Popen[str]] = []

    def start(name: str, **variables: str) -> subprocess.Popen[str]:
        begun.append(subprocess.Popen(_command(name), env=environment | variables, cwd=tmp_path, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate(timeout=30)


def _tell(node: NodeInTest, number: int) -> Any:
    record = {"atenabango": f"{number:015}", "rirekibango": "1", "jumin_shubetsu": "1", "shimei": "倉敷　太郎", "jusho": "倉敷市"}
    return node.publish("moved_in", {**record, "ido_ymd": "2026-11-20"}, type="jp.example.moved_in")


def test_publishing_twice_is_once_in_effect(node: NodeInTest, run: Run) -> None:
    first, again = json.loads(run("publish.sh", "change-1")), json.loads(run("publish.sh", "change-1"))
    assert (first["outcome"], again) == ("accepted", {**first, "outcome": "duplicate"})
    assert run("publish.py", CHANGE="2").split()[1] == "accepted"
    assert run("publish.py", CHANGE="2").split()[1] == "duplicate"
    assert len(node.received("tax_moved_in", 2)) == 2


def test_a_refusal_names_every_broken_rule(run: Run) -> None:
    told = json.loads(run("errors.sh"))
    assert (told["status"], told["message_id"]) == (422, "RNK4304E")
    assert {problem["field"] for problem in told["problems"]} == {"atenabango", "jumin_shubetsu", "ido_ymd"}
    assert "契約" in told["detail"]


def test_pulling(node: NodeInTest, run: Run, tmp_path: Path) -> None:
    node.received("tax_moved_in")
    _tell(node, 101)
    _tell(node, 102)
    assert len(run("pull.py", MOST="2").splitlines()) == 2
    with sqlite3.connect(tmp_path / "tax.db") as ours:
        assert ours.execute("select count(*) from handled").fetchone() == (2,)
        assert {row[0] for row in ours.execute("select atenabango from moved_in")} == {f"{101:015}", f"{102:015}"}
    ours.close()
    _tell(node, 103)
    printed = run("pull.sh")
    assert f"{103:015}" in printed
    assert '"outcome": "delivered"' in printed
    assert node.received("tax_moved_in") == node.received("tax_moved_in")


def test_streaming(node: NodeInTest, run: Run, start: Start, tmp_path: Path) -> None:
    node.received("tax_moved_in")
    _tell(node, 201)
    stream = start("stream.sh")
    assert f"{201:015}" in _line(stream, "data:")
    stream.kill()
    _tell(node, 202)
    first = run("stream.py", MOST="1").split()[0]
    assert (tmp_path / "last-event-id").read_text() == first
    _tell(node, 203)
    assert int(run("stream.py", MOST="1").split()[0]) > int(first)


def test_being_called(node: NodeInTest, receiver: tuple[subprocess.Popen[str], str]) -> None:
    message = _tell(node, 301)["message"]
    (delivery,) = [each["id"] for each in node.deliveries("welfare_moved_in") if each["message"] == message]
    assert _line(receiver[0], delivery).split()[1] == "jp.example.moved_in"


def test_uploading(run: Run, node: NodeInTest, tmp_path: Path) -> None:
    names = "atenabango,rirekibango,jumin_shubetsu,shimei,seinengappi,jusho_yubinbango,jusho,ido_ymd"
    row = "000000000000012,1,1,倉敷　太郎,,7108565,倉敷市,2026-11-20"
    for number, name in enumerate(("upload.py", "upload.sh"), 1):
        file = tmp_path / f"MOVED_20261120_{number:03}.csv"
        file.write_bytes(f"{names}\r\n{row}\r\n".encode())
        assert {"upload.py": "accepted", "upload.sh": '"state"'}[name] in run(name, str(file))
    assert len(node.messages(interface="month")) >= 1


def test_asking_and_answering(run: Run, start: Start) -> None:
    assert "HTTP/1.1 202" in run("request.sh", "question-1", WAIT="0")
    assert run("request.py", WAIT="0", ends=1).startswith("not yet: client.reply('332020-m")
    answering = start("answer.py", MOST="2")
    assert "倉敷市西中新田" in run("request.sh", "question-1", WAIT="30")
    answering.wait(60)
    start("answer.py", MOST="1")
    assert "'kyoju': '1'" in run("request.py", WAIT="30")
