"""A task: short messages, of which some are spam."""

from buckler.tasks.task import TASKS, Task

SMS_SPAM = TASKS.add(
    Task(
        name="sms-spam",
        description="Unwanted advertising and fraud against ordinary short messages",
        classes={
            "ham": "An ordinary message.",
            "spam": "Advertising or fraud that nobody asked for.",
        },
        positive=("spam",),
        max_bytes=512,
        aliases={"junk": "spam"},
    )
)
