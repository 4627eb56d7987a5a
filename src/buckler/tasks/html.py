"""html: is this page a fake login?"""

from buckler.tasks.task import TASKS, Task

HTML = TASKS.add(
    Task(
        name="html",
        description="Web pages as benign or fake login pages, by source and, if known, address",
        classes={
            "benign": "A page of whoever it says it is of, login pages among them.",
            "phishing": (
                "A page that imitates a service or brand to take credentials, money or data."
            ),
        },
        positive=("phishing",),
        normalizer="html-structure-v2",
        max_bytes=8192,
        text_columns=("html", "page", "text", "content"),
        context=(("url", "page_url", "target_uri"),),
        group_by="page-domain",
        guidance=(
            "Signs of a fake: a brand in title or text on a site that is not the brand's, a form "
            "that posts elsewhere or to nowhere, pictures and icons hotlinked from the brand, "
            "links that lead nowhere, encoded scripts. A login page on its own site is benign."
        ),
        medium="html",
        aliases={
            "malicious": "phishing",
            "phish": "phishing",
            "legitimate": "benign",
            "benign-form": "benign",  # a page with a form, the hardest kind of ordinary page
            "ham": "benign",
            "spam": "benign",  # unwanted, but no fake login
        },
    )
)
