"""The database: SQLAlchemy Core, async; SQLite by default, PostgreSQL by URL, one code path."""
