"""The history in a SQL database: SQL Server and Azure SQL, and PostgreSQL as the tests' dialect."""
