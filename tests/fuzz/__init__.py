"""Malformed requests, seeded: every command, file and option, held to what a user may expect of any of them.

    python -m tests.fuzz --cases 2000 --seed 0         two processes, under two minutes
    python -m tests.fuzz --seed 0 --only 1234          one case again, with its words and files

`kinds` is the registry of what is made wrong, `judge` the law that every case obeys, `worker` the process in which cases run.
"""
