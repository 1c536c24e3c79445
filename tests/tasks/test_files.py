"""The built-in file tasks: where they may reach, and that what they write is whole."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks import files
from flowlang.tasks.files import csv_read, csv_write, file_read, file_write, json_read, json_write
from flowlang.tasks.jsontext import to_json
from flowlang.tasks.places import FILES_ROOT
from flowlang.tasks.signature import spec_of
from flowlang.tasks.stream import Stream

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path) -> Iterator[Path]:
    """The files root, with a secret beside it."""
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    token = FILES_ROOT.set(folder)
    yield folder
    FILES_ROOT.reset(token)


async def rows(path: str, **options: Any) -> list[dict[str, Any]]:
    return [row async for batch in csv_read(path, **options) for row in batch]


async def stream_of(*batches: list[Any]) -> AsyncIterator[list[Any]]:
    for batch in batches:
        yield batch


def files_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["../secret.txt", "a/../../secret.txt", "/etc/passwd", "link/secret.txt", "link.txt", "sub/../a.txt"]
)
async def test_paths_never_leave_the_root(root: Path, path: str) -> None:
    """Neither by `..` nor by an absolute path nor through a link; for reading and for writing."""
    (root / "link").symlink_to(root.parent)
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    for attempt in (
        file_read(path),
        file_write(path, "x"),
        json_read(path),
        json_write(path, 1),
        csv_write(path, [{"a": 1}]),
        rows(path),
    ):
        with pytest.raises(FlowExecutionError) as caught:
            await attempt
        assert caught.value.error_class == "permission"
    assert (root.parent / "secret.txt").read_text() == "secret"


@pytest.mark.parametrize("path", ["", " ", "a\0b"])
async def test_what_is_no_path_is_refused(path: str) -> None:
    """With the class validation."""
    with pytest.raises(FlowExecutionError) as caught:
        await file_read(path)
    assert caught.value.error_class == "validation"


async def test_paths_inside_the_root_are_fine(root: Path) -> None:
    """Relative, absolute, and through links that stay inside."""
    (root / "sub").mkdir()
    (root / "link").symlink_to(root / "sub")
    await file_write("link/a.txt", "one")
    await file_write(str(root / "b.txt"), "two")
    assert (root / "sub" / "a.txt").read_text() == "one"
    assert (await file_read("b.txt"))["content"] == "two"


async def test_without_a_root_it_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a run that sets none."""
    monkeypatch.chdir(tmp_path)
    FILES_ROOT.set(None)
    assert (await file_read("secret.txt"))["content"] == "secret"
    with pytest.raises(FlowExecutionError):
        await file_read("/etc/hostname")


@pytest.mark.parametrize(
    ("path", "error_class"), [("none.txt", "not_found"), ("none/a.txt", "not_found"), ("sub", "validation")]
)
async def test_missing_files_and_folders_have_a_class(root: Path, path: str, error_class: str) -> None:
    """The same for reading and writing."""
    (root / "sub").mkdir()
    attempts = [file_read(path), json_read(path), rows(path)]
    if path != "none.txt":
        attempts += [file_write(path, "x"), csv_write(path, [{"a": 1}])]
    for attempt in attempts:
        with pytest.raises(FlowExecutionError) as caught:
            await attempt
        assert caught.value.error_class == error_class
    assert files_in(root) == ["sub"]


async def test_pipes_and_devices_are_refused(root: Path) -> None:
    """Reading them would block, or never end."""
    os.mkfifo(root / "pipe")
    for attempt in (file_read("pipe"), rows("pipe")):
        with pytest.raises(FlowExecutionError, match="no ordinary file"):
            await attempt


# ── whole files ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", ["", "text\n", "ünï 🎉\r\n", "a\0b"])
async def test_text_comes_back_as_written(content: str) -> None:
    """Line ends are not touched."""
    written = await file_write("a.txt", content)
    assert written == {"path": "a.txt", "size": len(content.encode())}
    assert await file_read("a.txt") == {"content": content, "size": len(content.encode())}


async def test_bytes_come_back_as_written() -> None:
    """With `encoding: null`."""
    await file_write("a.bin", b"\xff\x00")
    assert (await file_read("a.bin", encoding=None))["content"] == b"\xff\x00"
    with pytest.raises(FlowExecutionError, match="not valid utf-8: byte 1"):
        await file_read("a.bin")
    with pytest.raises(FlowExecutionError, match="unknown encoding"):
        await file_read("a.bin", encoding="nope")


async def test_large_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the bound."""
    monkeypatch.setattr(files, "LARGEST", 10)
    await file_write("a.txt", "x" * 11)
    for attempt in (file_read("a.txt"), json_read("a.txt")):
        with pytest.raises(FlowExecutionError, match="larger") as caught:
            await attempt
        assert caught.value.error_class == "limit"


async def test_writing_replaces_and_keeps_the_mode(root: Path) -> None:
    """No file is left beside it."""
    (root / "a.txt").write_text("old")
    (root / "a.txt").chmod(0o640)
    await file_write("a.txt", "new")
    assert (root / "a.txt").read_text() == "new"
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o640
    assert files_in(root) == ["a.txt"]


async def test_a_failed_write_leaves_the_old_file(root: Path) -> None:
    """And nothing beside it: a row that cannot be written, a source that breaks, a cancellation."""
    (root / "a.csv").write_text("old")

    async def broken() -> AsyncIterator[list[Any]]:
        yield [{"a": 1}]
        raise RuntimeError("broke")

    begun = asyncio.Event()

    async def endless() -> AsyncIterator[list[Any]]:
        while True:
            yield [{"a": 1}]
            begun.set()

    with pytest.raises(FlowExecutionError):
        await csv_write("a.csv", [{"a": 1}] * 1500 + [{"b": 1}])
    with pytest.raises(RuntimeError):
        await csv_write("a.csv", Stream(broken()))
    writing = asyncio.create_task(csv_write("a.csv", Stream(endless())))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    with pytest.raises(FlowExecutionError):
        await json_write("a.csv", float("nan"))
    assert (root / "a.csv").read_text() == "old"
    assert files_in(root) == ["a.csv"]


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_json_is_always_valid(root: Path) -> None:
    """Every kind of value a flow can hold."""
    value = {
        "ä": [None, True, 1, 2**70, 1.5, "x\u2028"],
        "decimal": [Decimal("1.50"), Decimal(2), Decimal("0.1234567890123456789")],
        "times": [
            datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
            datetime.date(2026, 1, 2),
            datetime.timedelta(hours=25),
        ],
        "bytes": b"\xff",
    }
    await json_write("a.json", value)
    assert json.loads((root / "a.json").read_text()) == {
        "ä": [None, True, 1, 2**70, 1.5, "x\u2028"],
        "decimal": [1.5, 2, "0.1234567890123456789"],
        "times": ["2026-01-02T03:04:00+00:00", "2026-01-02", "P1DT1H"],
        "bytes": "/w==",
    }
    await json_write("b.json", [1, {}], indent=None)
    assert (root / "b.json").read_text() == "[1, {}]\n"


@settings(max_examples=100, database=None)
@given(JSON, st.none() | st.integers(-1, 9))
def test_json_is_laid_out_as_python_does_it(value: Any, indent: int | None) -> None:
    assert to_json(value, indent) == json.dumps(value, ensure_ascii=False, indent=indent)


@pytest.mark.parametrize("value", [float("inf"), {1: 2}, {"a": {None: 1}}, object(), "\ud800", Decimal("NaN")])
async def test_what_has_no_json_is_refused(value: Any) -> None:
    """Rather than written as something else."""
    with pytest.raises(FlowExecutionError, match="no JSON") as caught:
        await json_write("a.json", value)
    assert caught.value.error_class == "validation"


async def test_a_value_that_contains_itself_is_refused() -> None:
    """And ends."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(FlowExecutionError, match="no JSON"):
        await json_write("a.json", value)


async def test_json_comes_back(root: Path) -> None:
    """With a byte order mark too."""
    await json_write("a.json", {"a": [1, None]})
    assert await json_read("a.json") == {"value": {"a": [1, None]}}
    (root / "b.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert await json_read("b.json") == {"value": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "line 2, column 6"),
        ("", "line 1, column 1"),
        ("[NaN]", "NaN is no number"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=["syntax", "empty", "nan", "twice", "deep"],
)
async def test_faulty_json_is_located(root: Path, text: str, message: str) -> None:
    """Line and column, or what is wrong."""
    (root / "a.json").write_text(text)
    with pytest.raises(FlowExecutionError, match=message) as caught:
        await json_read("a.json")
    assert caught.value.error_class == "validation"


# ── CSV ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_csv_gives_objects_with_types(root: Path) -> None:
    """Each type, spaces around a cell, and empty cells."""
    (root / "a.csv").write_text(
        "\ufeffid,name,price,paid,day,at,share\r\n"
        '1,"Ada, ""the"" first",1.50,true,2026-01-02,2026-01-02T03:04:05Z,0.5\r\n'
        " 2 ,  ,,0,,,\r\n",
        encoding="utf-8",
    )
    types = {
        "id": "integer",
        "price": "decimal",
        "paid": "boolean",
        "day": "date",
        "at": "timestamp",
        "share": "number",
        "name": "string",
    }
    assert await rows("a.csv", types=types) == [
        {
            "id": 1,
            "name": 'Ada, "the" first',
            "price": Decimal("1.50"),
            "paid": True,
            "day": datetime.date(2026, 1, 2),
            "at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
            "share": 0.5,
        },
        {"id": 2, "name": "  ", "price": None, "paid": False, "day": None, "at": None, "share": None},
    ]


@pytest.mark.parametrize(
    ("word", "cell"),
    [
        ("integer", "1.0"),
        ("integer", "1_000"),
        ("integer", "١"),
        ("number", "nan"),
        ("number", "1e999"),
        ("number", "1,5"),
        ("decimal", "1_0"),
        ("boolean", "yes"),
        ("date", "02.01.2026"),
        ("timestamp", "soon"),
    ],
)
async def test_a_cell_that_does_not_fit_is_located(root: Path, word: str, cell: str) -> None:
    """Line and column, counted as an editor counts lines."""
    (root / "a.csv").write_text(f'x,y\n"two\nlines",\n\n"b","{cell}"\n', encoding="utf-8")
    with pytest.raises(FlowExecutionError, match=r"'a.csv', line 5, column `y`") as caught:
        await rows("a.csv", types={"y": word})
    assert caught.value.error_class == "validation"
    assert f"is no {word}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("\n\n", {}, "is empty"),
        ("a,b\n1,2,3\n", {}, "line 2: 3 cells, the header has 2"),
        ("a,b\n1,2\n3\n", {}, "line 3: 1 cells"),
        ("a,a\n1,2\n", {}, "names `a` twice"),
        ("a,\n1,2\n", {}, "column 2 has no name"),
        ('a\n"never closed\n', {}, "line 2"),
        ('a\n"x"y\n', {}, "line 2"),
        ("a\n1\n", {"types": {"b": "integer"}}, "`types` names `b`"),
        ("a\n1\n", {"types": {"a": "int"}}, "it may be string, integer"),
        ("a\n1\n", {"delimiter": ";;"}, "`delimiter`"),
        ("a\n1\n", {"delimiter": '"'}, "`delimiter`"),
    ],
)
async def test_faulty_csv_is_refused(root: Path, text: str, options: Any, message: str) -> None:
    """With what is wrong, and where."""
    (root / "a.csv").write_text(text)
    with pytest.raises(FlowExecutionError, match=message) as caught:
        await rows("a.csv", **options)
    assert caught.value.error_class == "validation"


async def test_csv_is_read_in_batches(root: Path) -> None:
    """Never whole; closing half-way closes the file."""
    (root / "a.csv").write_text("n\n" + "".join(f"{number}\n" for number in range(2500)))
    assert [len(batch) async for batch in csv_read("a.csv")] == [1000, 1000, 500]
    half = csv_read("a.csv")
    assert len(await anext(half)) == 1000
    await half.aclose()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_csv_comes_back_as_written(delimiter: str) -> None:
    """Texts with anything in them, from a list and from a stream."""
    texts = ["", " ", "a,b;c|d\te", 'say "hi"', "two\nlines", "cr\r\nlf", "cr\ronly", "ünï 🎉", "'quoted'", "1", "null"]
    data = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    for source in (data, Stream(stream_of(data[:3], [], data[3:]))):
        result = await csv_write("a.csv", source, delimiter=delimiter)
        assert result == {"path": "a.csv", "count": len(data)}
        assert await rows("a.csv", delimiter=delimiter) == data


async def test_csv_writes_each_kind_of_value_plainly(root: Path) -> None:
    """As csv_read's types read them."""
    row = {
        "null": None,
        "true": True,
        "int": -5,
        "float": 1.5,
        "decimal": Decimal("1E+2"),
        "day": datetime.date(2026, 1, 2),
        "list": [1, "a"],
    }
    await csv_write("a.csv", [row])
    assert (root / "a.csv").read_bytes() == (
        b'null,true,int,float,decimal,day,list\r\n,true,-5,1.5,100,2026-01-02,"[1, ""a""]"\r\n'
    )


async def test_columns_choose_and_order(root: Path) -> None:
    """Other keys are left out; with no rows the header still says what would be there."""
    await csv_write("a.csv", [{"a": 1, "b": 2, "c": 3}], columns=["c", "a"])
    assert (root / "a.csv").read_bytes() == b"c,a\r\n3,1\r\n"
    await csv_write("a.csv", [], columns=["c", "a"])
    assert (root / "a.csv").read_bytes() == b"c,a\r\n"
    assert await rows("a.csv") == []


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([{"a": 1}, {"a": 1, "b": 2}], {}, "row 2 has `b`"),
        ([{"a": 1, "b": 1}, {"a": 1}], {}, "row 2 has no `b`"),
        ([{"a": 1}], {"columns": ["b"]}, "row 1 has no `b`"),
        ([{"a": 1}, 5], {}, "row 2 is int"),
        ([{}], {}, "at least one key"),
        ([{"a": object()}], {}, "row 1, column `a`"),
        ([{"a": 1}], {"columns": ["a", "a"]}, "`columns`"),
        ([{"a": 1}], {"formulas": "no"}, "`formulas`"),
        ("text", {}, "list or a stream"),
    ],
)
async def test_rows_that_do_not_fit_are_refused(data: Any, options: Any, message: str) -> None:
    """The row and the key are named."""
    with pytest.raises(FlowExecutionError, match=message) as caught:
        await csv_write("a.csv", data, **options)
    assert caught.value.error_class == "validation"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(1)"])
async def test_formulas_never_reach_a_spreadsheet(root: Path, text: str) -> None:
    """By default such a text gets a quote before it; it can be refused, or kept on purpose."""
    await csv_write("a.csv", [{"a": text, "b": 1}])
    assert (await rows("a.csv"))[0]["a"] == f"'{text}"
    with pytest.raises(FlowExecutionError, match="row 1, column `a`"):
        await csv_write("a.csv", [{"a": text}], formulas="refuse")
    await csv_write("a.csv", [{"a": text, "b": 1}], formulas="keep")
    assert (await rows("a.csv"))[0]["a"] == text
    await csv_write("a.csv", [{text: 1, "b": 1}])
    assert (root / "a.csv").read_bytes().lstrip(b'"').startswith(b"'")


@pytest.mark.parametrize("value", ["-5", "+3.25", "-1e5", -5, -1.5, Decimal("-1.5")])
async def test_numbers_are_no_formulas(root: Path, value: Any) -> None:
    """Signs of plain numbers are left alone."""
    await csv_write("a.csv", [{"a": value, "b": 1}])
    assert (await rows("a.csv"))[0]["a"] == str(value)


def test_every_file_task_is_specified() -> None:
    """Its parameters are described, its outputs declared, its effect stated."""
    for name, function in files.FILE_TASKS.items():
        spec = spec_of(function, name=name)
        assert spec.effect in ("read", "write")
        assert spec.idempotent is not None
        assert spec.outputs
        assert spec.example
        assert all(each.description for each in spec.parameters)
        assert set(spec.returns) == set(spec.outputs)
