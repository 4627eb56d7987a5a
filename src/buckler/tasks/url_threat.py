"""url-threat: does this URL lead to a phishing page?"""

from buckler.tasks.task import TASKS, URL_COLUMNS, Task

URL_THREAT = TASKS.add(
    Task(
        name="url-threat",
        description="Phishing URLs against ordinary ones, judged from the URL alone",
        classes={
            "benign": "An ordinary page, whatever its subject.",
            "phishing": (
                "A page that imitates a service or brand to take credentials, money or data."
            ),
        },
        positive=("phishing",),
        normalizer="url-v3",
        max_bytes=768,
        segmenter="host",
        text_columns=URL_COLUMNS,
        group_columns=("group",),
        group_by="registered-domain",
        guidance=(
            "Signs of phishing: a brand's name outside its own domain, free hosting or a random "
            "name with words such as login, verify, wallet or update, an address in digits, a path "
            "of a hacked site. Documentation, package and news sites with long paths are benign."
        ),
        medium="url",
        aliases={
            "malicious": "phishing",
            "legitimate": "benign",
            "good": "benign",
            "bad": "phishing",
        },
    )
)
