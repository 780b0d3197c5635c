"""Sessions that stay: set up once, then one statement of its own every now and then, until the time is over."""

import time

from connection import SECONDS, connect, run


def session(number):
    connection = connect(autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"set @number = {number}")
        cursor.execute("set session sql_mode = 'ANSI_QUOTES'")
        end = time.monotonic() + SECONDS
        turn = 0
        while time.monotonic() < end:
            cursor.execute(f"select 'steady {number}-{turn}', @number")
            cursor.fetchall()
            cursor.execute(f"insert into notes (note, number) values ('steady {number}-{turn}', {turn})")
            time.sleep(0.03)
            turn += 1


run(session)
