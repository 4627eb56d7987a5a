"""pe: is this Windows program malware?"""

from buckler.normalize import PE
from buckler.normalize.pe_v1 import NUMBERS
from buckler.tasks.task import TASKS, Task

PE_TASK = TASKS.add(
    Task(
        name="pe",
        description="Windows programs as benign or malware, by headers, tables, strings and bytes",
        classes={
            "benign": "A program that does what its user expects.",
            "malware": "A program that harms, spies, extorts, or brings others that do.",
        },
        positive=("malware",),
        normalizer=PE,
        max_bytes=4 * len(NUMBERS),
        text_columns=("features", "file"),
        aliases={"malicious": "malware", "goodware": "benign", "1": "malware", "0": "benign"},
        medium="row",
        numbers=NUMBERS,
    )
)
