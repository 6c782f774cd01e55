"""Full-text indexes of MySQL, in migrations."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op


@contextmanager
def without_stopwords() -> Iterator[None]:
    """Let MySQL build a table's full-text index again without stopwords, whose pairs of letters its parser drops.

    A table with such an index, as `posts` is, is rebuilt by every change of its columns, by the setting of that
    moment (MySQL manual, 14.9.4).
    """
    dialect = op.get_bind().dialect
    applies = dialect.name == "mysql" and not getattr(dialect, "is_mariadb", False)
    if applies:
        op.execute("SET SESSION innodb_ft_enable_stopword = OFF")
    yield
    if applies:
        op.execute("SET SESSION innodb_ft_enable_stopword = ON")
