"""Sessions with many habits: text queries, transactions, several statements at once, files, databases, errors."""

import tempfile
import time

import pymysql
from connection import SECONDS, connect, run


def queries(cursor, tag):
    for number in range(10):
        cursor.execute("select %s, %s", (f"{tag} query", number))
        cursor.fetchall()
        cursor.execute("insert into notes (note, number) values (%s, %s)", (f"{tag} insert\nin two lines", number))


def transactions(connection, cursor, tag):
    for number in range(5):
        connection.begin()
        cursor.execute("insert into notes (note, number) values (%s, %s)", (f"{tag} first", number))
        cursor.execute("insert into notes (note, number) values (%s, %s)", (f"{tag} second", number))
        if number % 2:
            connection.commit()
        else:
            connection.rollback()


def several_at_once(cursor, tag):
    cursor.execute(f"select '{tag} one'; select '{tag} two'; insert into notes (note, number) values ('{tag}', 3)")
    while cursor.nextset():
        cursor.fetchall()


def a_file(cursor, tag):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.writelines(f"{number},{tag} row\n" for number in range(2000))
        file.flush()
        cursor.execute(
            f"load data local infile '{file.name}' into table notes fields terminated by ',' (number, note)"
        )


def odd_ones(connection, cursor, tag):
    cursor.execute("set @mine = 5")
    cursor.execute(f"select @mine, '{tag}'")
    cursor.execute(f"select repeat('x', 400000), '{tag}'")
    cursor.fetchall()
    cursor.execute("select length(%s)", (tag + "y" * 300000,))
    try:
        cursor.execute(f"select '{tag}' from no_such_table")
    except pymysql.err.ProgrammingError:
        pass
    connection.ping()
    connection.select_db("mysql")
    cursor.execute(f"select database(), '{tag}'")
    connection.select_db("shop")


def session(number):
    end = time.monotonic() + SECONDS
    turn = 0
    while time.monotonic() < end:
        connection = connect(
            local_infile=True,
            client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
            autocommit=bool(turn % 2),
        )
        tag = f"habit {number}-{turn}"
        with connection, connection.cursor() as cursor:
            queries(cursor, tag)
            transactions(connection, cursor, tag)
            several_at_once(cursor, tag)
            a_file(cursor, tag)
            odd_ones(connection, cursor, tag)
            time.sleep(0.1)
        turn += 1


run(session)
