"""The tables, made and brought up to date by the app itself; which version they have stands there.

Instances that start at once wait for each other. An app never touches tables of a later version.
"""

from contextlib import closing

from shared.errors import Misconfigured
from shared.history.sql.dialect import Connection, Dialect

VERSIONS = "schema_version"


def ensure_schema(connection: Connection, dialect: Dialect, schema: str) -> None:
    """Blocks. Raises `Misconfigured`, and the driver's errors."""
    known = dialect.migrations(schema)
    table = f"{dialect.quote(schema)}.{dialect.quote(VERSIONS)}"
    with closing(connection.cursor()) as cursor:
        for query, wrong in dialect.checks():
            cursor.execute(query)
            if [bool(row[0]) for row in cursor.fetchall()] != [True]:
                raise Misconfigured(wrong)
        try:
            cursor.execute(f"SELECT version FROM {table}")
            version = _version(cursor.fetchall(), len(known), schema)
        except Exception as exc:
            if not dialect.misses_table(exc):
                raise
            version = None
        if version == len(known):
            return
        cursor.execute("BEGIN TRANSACTION")
        for statement in dialect.begin_migration(schema):
            cursor.execute(statement)
        # Somebody else may have done it meanwhile: the table is there now in any case.
        cursor.execute(f"SELECT version FROM {table}")
        version = _version(cursor.fetchall(), len(known), schema)
        for statements in known[version:]:
            for statement in statements:
                cursor.execute(statement)
        cursor.execute(f"DELETE FROM {table}")
        cursor.execute(f"INSERT INTO {table} (version) VALUES ({len(known):d})")
        cursor.execute("COMMIT TRANSACTION")


def _version(rows: list[tuple[int]], known: int, schema: str) -> int:
    version = int(rows[0][0]) if rows else 0
    if version > known:
        raise Misconfigured(
            f"CHAT_SQL_SCHEMA: the tables in {schema} have version {version}, and this app knows "
            f"{known}: deploy the newer app, or name another schema."
        )
    return version
