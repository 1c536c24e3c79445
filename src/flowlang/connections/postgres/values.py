"""FlowLang's values in PostgreSQL: what a value becomes depends on the type that the statement or the column wants.

| PostgreSQL | takes | gives |
|---|---|---|
| `boolean` | boolean | boolean |
| `smallint`, `integer`, `bigint`, `oid` | integer; number or decimal without a fraction | integer |
| `real`, `double precision` | number, decimal; integer that it holds exactly | number, also NaN and infinity |
| `numeric` | decimal, integer, number, text with digits | decimal, also NaN and infinity |
| `text`, `varchar`, `char`, `citext`, enums and all types not named here | text; other values as their text | text |
| `bytea` | bytes | bytes |
| `uuid` | uuid, text | uuid |
| `timestamptz` | timestamp with a zone, text in ISO 8601 with one | timestamp in UTC |
| `timestamp` | timestamp (with a zone: as UTC), date, text in ISO 8601 | timestamp without zone |
| `date`, `time`, `timetz` | date, time; text in ISO 8601 | date, time |
| `interval` | duration, text in ISO 8601 (`P1M2DT3H`) | duration; with months text in ISO 8601 |
| `json`, `jsonb` | any value but null; a text is a JSON text | the value |
| arrays | list | list |
| `inet`, `cidr`, `macaddr`, `bit`, `tsvector`, `xml`, `money`, geometric types | text | text |
| ranges, multiranges | nothing: cast in the statement, `${x}::text::int4range` | text (a list of texts) |
| composite types | nothing: `ROW(${x}, ${y})` | object |

Null is SQL's NULL everywhere. JSON's `null` is read as null too, and is written in the statement: `'null'::jsonb`.
`infinity` as a date or timestamp is the last one that there is (year 9999), in both directions. A date before the year
1 or after 9999, and 24:00 as a time, are refused when read.
"""

from __future__ import annotations

from flowlang.connections.postgres.decoding import AS_TEXT, decoder, kind_of
from flowlang.connections.postgres.encoding import Convert, Encoder, converted, encoder, refused
from flowlang.connections.postgres.intervals import as_interval, interval_of

__all__ = [
    "AS_TEXT",
    "Convert",
    "Encoder",
    "as_interval",
    "converted",
    "decoder",
    "encoder",
    "interval_of",
    "kind_of",
    "refused",
]
