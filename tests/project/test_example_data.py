"""The facts of the demo agree with totals known from elsewhere."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "examples/data/nobel.csv"
NEVER = {
    "physics": {1916, 1931, 1934, 1940, 1941, 1942},
    "chemistry": {1916, 1917, 1919, 1924, 1933, 1940, 1941, 1942},
}


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def rows() -> list[dict[str, str]]:
    with DATA.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_cell_is_filled_and_no_row_stands_twice(rows: list[dict[str, str]]) -> None:
    assert all(all(value.strip() == value != "" for value in row.values()) for row in rows)
    assert len({(row["year"], row["prize"], row["laureate"]) for row in rows}) == len(rows)


@pytest.mark.parametrize(("prize", "awards", "people"), [("physics", 227, 226), ("chemistry", 197, 195)])
def test_totals_to_2024(rows: list[dict[str, str]], prize: str, awards: int, people: int) -> None:
    names = [row["laureate"] for row in rows if row["prize"] == prize]
    assert (len(names), len(set(names))) == (awards, people)


@pytest.mark.parametrize("prize", NEVER)
def test_years_without_a_prize(rows: list[dict[str, str]], prize: str) -> None:
    awarded = {int(row["year"]) for row in rows if row["prize"] == prize}
    assert set(range(1901, 2025)) - awarded == NEVER[prize]


def test_no_prize_has_more_than_three_laureates(rows: list[dict[str, str]]) -> None:
    assert max(Counter((row["year"], row["prize"]) for row in rows).values()) == 3


def test_a_person_has_one_year_of_birth_and_one_birthplace(rows: list[dict[str, str]]) -> None:
    facts = {(row["laureate"], row["born"], row["birthplace"]) for row in rows}
    assert len(facts) == len({row["laureate"] for row in rows})


def test_the_youngest_and_the_oldest(rows: list[dict[str, str]]) -> None:
    def ages(prize: str) -> list[tuple[int, str]]:
        return sorted((int(row["year"]) - int(row["born"]), row["laureate"]) for row in rows if row["prize"] == prize)

    assert (ages("physics")[0], ages("physics")[-1]) == ((25, "Lawrence Bragg"), (96, "Arthur Ashkin"))
    assert (ages("chemistry")[0], ages("chemistry")[-1]) == ((35, "Frédéric Joliot"), (97, "John B. Goodenough"))


def test_awarded_twice(rows: list[dict[str, str]]) -> None:
    often = Counter(row["laureate"] for row in rows)
    twice = {name for name, count in often.items() if count > 1}
    assert twice == {"Marie Curie", "John Bardeen", "Frederick Sanger", "Barry Sharpless"}
