"""A server that speaks SQL Server's protocol (TDS) and keeps its data in PostgreSQL.

It is no SQL Server, and says nothing about one's locks or plans. It is there for the driver: what
`mssql-python` sends, how it takes errors, silence and broken connections, all for real.
https://learn.microsoft.com/openspecs/windows_protocols/ms-tds
"""
