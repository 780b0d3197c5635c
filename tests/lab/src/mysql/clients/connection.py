"""What the scripts beside this one share: where the server is, who they are, and work in many sessions at once.

Every script is called as SCRIPT HOST PORT USER PASSWORD DATABASE SESSIONS SECONDS.
"""

import sys
import threading

import pymysql

HOST, PORT, USER, PASSWORD, DATABASE = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
SESSIONS, SECONDS = int(sys.argv[6]), float(sys.argv[7])


def connect(**options):
    return pymysql.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE, **options)


def run(session):
    """Has SESSIONS threads do session(number); ends with an error when any of them did."""
    failures = []

    def guarded(number):
        try:
            session(number)
        except Exception as error:
            failures.append(f"session {number}: {error!r}")

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit("; ".join(failures))
