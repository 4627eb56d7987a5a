"""email: ham, spam or phishing, judged by content."""

from buckler.tasks.task import TASKS, Task

EMAIL = TASKS.add(
    Task(
        name="email",
        description=(
            "E-mail as ham, spam or phishing, judged by subject, text, links and attachments"
        ),
        classes={
            "ham": "A message that its reader wants or expects.",
            "spam": "Unasked-for bulk mail that sells or promotes something.",
            "phishing": "A message that deceives to get credentials, money, data or a click.",
        },
        positive=("spam", "phishing"),
        normalizer="email-text-v1",
        max_bytes=8192,
        segmenter="head",
        text_columns=("raw", "message", "text"),
        group_by="sender-domain",
        guidance=(
            "Subject, text, links and attachments follow each other. What sells without deceiving "
            "is spam; what imitates a bank, a service, a colleague or an authority to get a "
            "password, money or a click is phishing; newsletters and lists that somebody "
            "subscribed to are ham."
        ),
        medium="message",
        aliases={"legitimate": "ham", "benign": "ham", "junk": "spam", "phish": "phishing"},
    )
)
