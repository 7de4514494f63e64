"""The SQL of a search in PostgreSQL with pgvector. Pure: settings and a layout in, text out.

Names are quoted; what a caller or an action says is always a parameter, never text of the SQL.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from shared.messages import Filter, SearchMode
from shared.settings import PostgresSettings

RRF = 60
"""The constant of reciprocal rank fusion: https://doi.org/10.1145/1571941.1572114."""
LEAST_CANDIDATES = 50
"""Of each of the two searches that a hybrid one fuses, however few documents are wanted."""


class Layout(Struct, frozen=True, kw_only=True):
    """What the database says of the table."""

    vector_type: str
    """`vector` or `halfvec`."""
    vector_schema: str
    """Where the extension is."""
    dimensions: int | None
    """Of its vectors, where the column fixes them."""
    iterative: bool
    """Whether the index goes on searching until a narrow filter is filled (pgvector 0.8)."""


class Statement(NamedTuple):
    """One query and its parameters."""

    sql: str
    parameters: list[object]


LAYOUT = """
SELECT a.attname AS name, t.typname AS type, n.nspname AS schema, a.atttypmod AS modifier,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS version
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
"""


def quoted(name: str) -> str:
    """An identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def table_name(settings: PostgresSettings) -> str:
    """The table, quoted, with its schema where the settings name one."""
    schema = f"{quoted(settings.schema)}." if settings.schema else ""
    return schema + quoted(settings.table)


def search(
    settings: PostgresSettings,
    layout: Layout,
    mode: SearchMode,
    *,
    text: str,
    vector: list[float] | None,
    top_k: int,
    min_score: float | None,
    conditions: Filter,
) -> Statement:
    """The query; its rows are `id, title, url, content, score`, best first."""
    parameters: list[object] = []

    def parameter(value: object, kind: str) -> str:
        parameters.append(value)
        return f"${len(parameters)}::{kind}"

    where = _conditions(settings, conditions, parameter)
    limit = parameter(top_k, "int")
    if mode == "vector":
        near = _near(settings, layout, where, parameter(vector, "real[]"), limit)
        least = "" if min_score is None else f"WHERE score >= {parameter(min_score, 'float8')}"
        found = f"SELECT id, score FROM ({near}) AS near {least}"
    elif mode == "text":
        found = _said(settings, where, parameter(text, "text"), limit)
    else:
        some = parameter(max(LEAST_CANDIDATES, 4 * top_k), "int")
        near = _near(settings, layout, where, parameter(vector, "real[]"), some)
        said = _said(settings, where, parameter(text, "text"), some)
        least = "" if min_score is None else f"WHERE score >= {parameter(min_score, 'float8')}"
        found = f"""
            SELECT id, (coalesce(1.0 / ({RRF} + near.rank), 0)
                + coalesce(1.0 / ({RRF} + said.rank), 0)) * {(RRF + 1) / 2} AS score
            FROM (SELECT id, row_number() OVER (ORDER BY score DESC, id) AS rank
                FROM ({near}) AS n {least}) AS near
            FULL JOIN (SELECT id, row_number() OVER (ORDER BY score DESC, id) AS rank
                FROM ({said}) AS s) AS said USING (id)
            ORDER BY score DESC, id LIMIT {limit}"""
    columns = settings.columns
    return Statement(
        f"""
        SELECT d.{quoted(columns.id)}::text AS id, {_text("d", columns.title)} AS title,
               {_text("d", columns.url)} AS url, {_text("d", columns.content)} AS content,
               found.score::float8 AS score
        FROM ({found}) AS found
        JOIN {table_name(settings)} AS d ON d.{quoted(columns.id)} = found.id
        ORDER BY found.score DESC, found.id LIMIT {limit}""",
        parameters,
    )


def scan_settings(mode: SearchMode, layout: Layout, top_k: int) -> str:
    """What the transaction is told of the index: to go on until a narrow filter is filled."""
    if mode == "text":
        return ""
    wanted = top_k if mode == "vector" else max(LEAST_CANDIDATES, 4 * top_k)
    told = f"SET LOCAL hnsw.ef_search = {min(1000, max(40, wanted))};"
    if layout.iterative:
        told += "SET LOCAL hnsw.iterative_scan = strict_order;"
        told += "SET LOCAL hnsw.max_scan_tuples = 200000;"
    return told


def _near(settings: PostgresSettings, layout: Layout, where: str, vector: str, limit: str) -> str:
    """Those whose meaning is nearest, by cosine similarity; the index serves this very order."""
    columns = settings.columns
    schema = quoted(layout.vector_schema)
    distance = (
        f"d.{quoted(columns.embedding)} OPERATOR({schema}.<=>) "
        f"{vector}::{schema}.{quoted(layout.vector_type)}"
    )
    return f"""
        SELECT d.{quoted(columns.id)} AS id, 1 - ({distance}) AS score
        FROM {table_name(settings)} AS d WHERE d.{quoted(columns.embedding)} IS NOT NULL {where}
        ORDER BY {distance} LIMIT {limit}"""


def _said(settings: PostgresSettings, where: str, text: str, limit: str) -> str:
    """Those that hold any of the words, by how many of them, how often, and where.

    A question's words are alternatives: hardly a document has them all.
    """
    columns = settings.columns
    language = f"'{settings.language}'::regconfig"
    words = (
        f"to_tsvector({language}, coalesce({_text('d', columns.content)}, ''))"
        if columns.search is None
        else f"d.{quoted(columns.search)}"
    )
    # In a query's text, operators stand between quotes, which words never have around a space.
    any_word = f"replace(plainto_tsquery({language}, {text})::text, ''' & ''', ''' | ''')::tsquery"
    return f"""
        SELECT d.{quoted(columns.id)} AS id, ts_rank({words}, q.query, 32)::float8 AS score
        FROM {table_name(settings)} AS d, (SELECT {any_word} AS query) AS q
        WHERE {words} @@ q.query {where}
        ORDER BY score DESC, id LIMIT {limit}"""


def _conditions(
    settings: PostgresSettings, conditions: Filter, parameter: Callable[[object, str], str]
) -> str:
    if not conditions:
        return ""
    metadata = f"d.{quoted(settings.columns.metadata or '')}"
    all_of = []
    for name, wanted in conditions.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        # `@>` is what an index on the metadata serves.
        any_of = [
            f"{metadata} @> {parameter(json.dumps({name: value}), 'text')}::jsonb"
            for value in values
        ]
        all_of.append(f"({' OR '.join(any_of) or 'false'})")
    return "AND " + " AND ".join(all_of)


def _text(table: str, column: str | None) -> str:
    return "NULL::text" if column is None else f"{table}.{quoted(column)}::text"
