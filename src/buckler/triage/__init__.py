"""Alert triage: alerts become incidents, and incidents a queue for an analyst.

An incident joins the alerts of one rule, host and address with no long pause between. The reader in
`alerts.py` reads the files of detection tools in the order of time, `incidents.py` joins and
describes them, so that a bundle of the task `alert-triage` is trained and scored like any other.
`triage` ranks the incidents of files and measures the ranking where labels tell the truth.

Examples
--------
Rank the alerts of a day::

    from buckler.triage.ranking import triage, write_incidents

    scorer = buckler.load("alert-triage.buckler")
    found = triage([Path("eve.json")], scorer, top=100)
    write_incidents(Path("queue.csv"), found.incidents)
"""
