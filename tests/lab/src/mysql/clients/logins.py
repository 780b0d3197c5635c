"""Sessions one after the other, with little in each: what matters is that they get in."""

import time

from connection import SECONDS, connect, run


def session(number):
    end = time.monotonic() + SECONDS
    turn = 0
    while time.monotonic() < end:
        connection = connect(autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"insert into notes (note, number) values ('login {number}-{turn}', {turn})")
            cursor.execute(f"select count(*), 'login {number}-{turn}' from notes")
            cursor.fetchall()
        time.sleep(0.02)
        turn += 1


run(session)
