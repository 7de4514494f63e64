"""Transact-SQL, checked by a parser of that language, as PostgreSQL takes it."""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.tds.tokens import Trouble

_LOCKED = re.compile(
    r"EXEC sp_getapplock @Resource = '([^']+)', @LockMode = 'Exclusive', @LockTimeout = 5000"
)
_SCHEMA = re.compile(r"IF SCHEMA_ID\('(\w+)'\) IS NULL EXEC\('(CREATE SCHEMA \[\w+\])'\)")
_TABLE = re.compile(r"IF OBJECT_ID\('([^']+)'\) IS NULL (CREATE TABLE .+)", re.S)
_VIEW = re.compile(r"EXEC\('(CREATE VIEW .+)'\)", re.S)
_WORDS = (
    (r"\[(\w+)\]", r'"\1"'),
    (r"@P(\d+)", r"%(P\1)s"),
    (r"\bLatin1_General_100_BIN2\b", '"C"'),
    (r"\bnvarchar\(max\)", "text"),
    (r"\bvarbinary\(max\)", "bytea"),
)
SNAPSHOTS = (
    "SELECT CAST(is_read_committed_snapshot_on AS int) FROM sys.databases WHERE name = DB_NAME()"
)


def translated(sql: str) -> str:
    """The same for PostgreSQL; empty: there is nothing to do. Raises `Trouble`."""
    if sql in ("SET XACT_ABORT ON", "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"):
        return ""
    if found := _LOCKED.fullmatch(sql):
        return f"SELECT pg_advisory_xact_lock(hashtext('{found[1]}'))"
    if found := _SCHEMA.fullmatch(sql):
        return _checked(found[2]).replace("CREATE SCHEMA", "CREATE SCHEMA IF NOT EXISTS")
    if found := _TABLE.fullmatch(sql):
        return _checked(found[2]).replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    if found := _VIEW.fullmatch(sql):
        _checked(found[1].replace("''", "'"))  # its functions are SQL Server's own
        return ""
    return _checked(sql)


def _checked(sql: str) -> str:
    try:
        parsed = sqlglot.parse(sql, read="tsql")
    except SqlglotError as exc:
        raise Trouble(102, 15, "Incorrect syntax.") from exc
    if any(one is None or isinstance(one, exp.Command) for one in parsed):
        raise Trouble(102, 15, "Incorrect syntax.")
    for pattern, word in _WORDS:
        sql = re.sub(pattern, word, sql)
    return sql
