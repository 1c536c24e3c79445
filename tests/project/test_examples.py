"""The examples do what they say, through the command line, as a newcomer runs them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests import forks

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [path for path in sorted((ROOT / "examples").rglob("*.yaml")) if path.parent.name != "plugin"]


def flowlang(*words: str) -> subprocess.CompletedProcess[str]:
    return forks.command(*words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})


def outputs(file: str, *inputs: str, files_root: Path = ROOT) -> dict[str, Any]:
    """The outputs of an example that has to succeed."""
    words = ["--files-root", str(files_root), *(word for each in inputs for word in ("-i", each))]
    done = flowlang("run", f"examples/{file}", *words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["outputs"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def test_an_example_has_no_findings(example: Path) -> None:
    """Every example passes the strict check without a word."""
    done = flowlang("check", "--strict", "--format", "json", str(example.relative_to(ROOT)))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_hello_greets() -> None:
    assert outputs("hello.yaml") == {"greeting": "Hello, world!"}
    assert outputs("hello.yaml", "name=Ada", "shout=true") == {"greeting": "HELLO, ADA!"}


def test_nobel_answers_its_questions_and_may_run_again(tmp_path: Path) -> None:
    """The demo imports all facts and answers rightly; a second run on the same file gives the same."""
    database = f"database={tmp_path / 'nobel.db'}"
    first = outputs("nobel.yaml", database)
    assert first["imported"] == 424
    assert first["people"][0] == {"laureate": "Lawrence Bragg", "prize": "physics", "year": 1915, "age": 25}
    assert len(first["people"]) == len(first["birthplaces"]) == 5
    assert [row["laureate"] for row in first["awarded_twice"]] == [
        "Marie Curie",
        "John Bardeen",
        "Frederick Sanger",
        "Barry Sharpless",
    ]
    assert first["awarded_twice"][0]["prizes"] == "physics 1903, chemistry 1911"
    assert first["years_without_a_prize"] == [1916, 1940, 1941, 1942]
    assert sum(era["laureates"] for era in first["eras"]) == 424
    assert outputs("nobel.yaml", database) == first


def test_nobel_asks_about_one_prize(tmp_path: Path) -> None:
    """The inputs choose the prize, the end of the ages and the length of the lists."""
    database = f"database={tmp_path / 'nobel.db'}"
    found = outputs("nobel.yaml", database, "prize=chemistry", "extreme=oldest", "top=3")
    assert found["people"][0]["age"] == 97
    assert len(found["people"]) == len(found["birthplaces"]) == 3
    assert found["years_without_a_prize"] == [1916, 1917, 1919, 1924, 1933, 1940, 1941, 1942]


def test_the_yearbook_is_made_once_for_the_same_facts(tmp_path: Path) -> None:
    """A chapter for each decade in their order, an index in pages; a second run finds nothing new."""
    inputs = (f"folder={tmp_path}", f"data={ROOT / 'examples/data/nobel.csv'}")
    first = outputs("yearbook/yearbook.yaml", *inputs, files_root=Path(tmp_path.anchor))
    assert first == {"laureates": 424, "chapters": 13, "pages": 5, "doubtful": 0}
    book = (tmp_path / "yearbook.md").read_text(encoding="utf-8")
    headings = [line for line in book.splitlines() if line.startswith("#")]
    assert headings == ["# A century of laureates", *(f"## The {decade}s" for decade in range(1900, 2030, 10))]
    assert "1903: **Svante Arrhenius** (chemistry, 44, born in Sweden); **Henri Becquerel**" in book
    again = outputs("yearbook/yearbook.yaml", *inputs, files_root=Path(tmp_path.anchor))
    assert (again["laureates"], again["chapters"]) == (424, 0)


def test_orders_books_and_ships() -> None:
    """Priced with discount, a quote on the second attempt, the stock reduced."""
    found = outputs("orders.yaml")
    assert (found["total"], found["shipping"]) == (27.73, 5.5)
    assert {row["sku"]: row["quantity"] for row in found["stock"]} == {"pen": 88, "ink": 8, "blotter": 0}


def test_orders_falls_back_when_the_carrier_stays_silent() -> None:
    assert outputs("orders.yaml", "express=true")["shipping"] == 9.0


def test_orders_refuses_what_the_shop_does_not_sell() -> None:
    """A failure that nothing handles: exit code 1, and the class that the flow raised."""
    done = flowlang("run", "examples/orders.yaml", "-i", 'lines=[{"sku": "globe", "quantity": 1}]', "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["type"] == "not_found"


def test_newsletter_calls_its_subflow_for_each_reader() -> None:
    found = outputs("letters/newsletter.yaml")
    assert found["count"] == 3
    assert [text.split(",")[0] for text in found["letters"]] == ["Dear Ada", "Chère Émilie", "Dear Sofia"]
