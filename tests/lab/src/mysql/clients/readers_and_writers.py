"""Sessions that read and write in turn. What writes says so in a comment."""

import time

from connection import SECONDS, connect, run

WRITES = [
    "insert into notes (note, number) values ('{tag}', 1) /* held-back */",
    "update notes set number = number + 1 where note = '{tag}' /* held-back */",
    "/* held-back */ delete from notes where note = '{tag}'",
    "insert into notes (note, number) with one as (select 1 as number) select '{tag}', number from one /* held-back */",
    "select id from notes where note = '{tag}' for update /* held-back */",
    "select note from notes limit 1 into @held_back /* held-back {tag} */",
    "create temporary table if not exists mine (id int) /* held-back {tag} */",
]
READS = [
    "select '{tag}'",
    "with old as (select id from notes) select count(*), '{tag}' from old",
    "show tables",
    "/* a comment first */ select count(*), '{tag} insert into notes' from notes",
]


def session(number):
    connection = connect(autocommit=True)
    with connection, connection.cursor() as cursor:
        end = time.monotonic() + SECONDS
        turn = 0
        while time.monotonic() < end:
            for write, read in zip(WRITES, READS * 2):
                for statement in (write, read):
                    cursor.execute(statement.format(tag=f"mixed {number}-{turn}"))
                    cursor.fetchall()
            time.sleep(0.05)
            turn += 1


run(session)
