"""url-threat: does this URL lead to a phishing page?"""

from buckler.tasks.task import Task

URL_THREAT = Task(
    name="url-threat",
    description="Phishing URLs against ordinary ones, judged from the URL alone",
    classes={
        "benign": "An ordinary page, whatever its subject.",
        "phishing": "A page that imitates a service or brand to take credentials, money or data.",
    },
    bad=("phishing",),
    normaliser="url-v1",
    max_bytes=512,
    text_columns=("url", "text"),
    group_columns=("group",),
    group_by="registered-domain",
    aliases={"malicious": "phishing", "legitimate": "benign", "good": "benign", "bad": "phishing"},
)
