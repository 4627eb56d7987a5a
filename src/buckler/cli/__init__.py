"""The command line: one thin module for each command, which parses, calls Python, and prints.

Python has a function of the same name for each command, as `buckler.train`. `main` lists the
commands and imports one when it is called; `entry` is where `buckler` starts. `options` holds the
options that several commands share, `results` their tables, and `console` and `terminal` print the
text of events safely. An error that Buckler foresees is one line and exit code 2.
"""
