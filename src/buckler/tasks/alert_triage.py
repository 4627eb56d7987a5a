"""alert-triage: which incidents should an analyst read first?"""

from buckler.normalize import FEATURES
from buckler.tasks.task import TASKS, Task

_NUMBERS = (
    *("alerts", "duration_s", "alerts_per_minute", "level", "rule_rarity", "rule_age_s"),
    *("rule_is_new", "rule_new_on_host", "host_is_new", "address_is_new", "rule_incidents_before"),
    *("pair_incidents_before", "host_alerts_hour", "host_rules_hour", "host_tools_hour"),
    *("host_new_rules_hour", "address_alerts_hour", "address_rules_hour", "address_hosts_hour"),
    *("rule_hosts_hour", "network_rules_hour", "network_alerts_hour", "burst"),
)
_CATEGORIES = ("rule", "tool")
# Phases by name, as labeled data sets have them.
_ATTACKS = (
    *("true_positive", "TruePositive", "malicious", "1", "dirb", "wpscan", "service_scan"),
    *("dns_scan", "dnsteal", "attacker_change_user", "escalated_sudo_command", "webshell_cmd"),
    *("crack_passwords", "online_cracking", "network_scans", "service_scans", "cracking"),
    *("reverse_shell", "privilege_escalation", "service_stop", "webshell"),
)
_NO_ATTACKS = ("-", "false_positive", "FalsePositive", "BenignPositive", "benign", "0")

ALERT_TRIAGE = TASKS.add(
    Task(
        name="alert-triage",
        description=(
            "Incidents (alerts of one rule, host and address) as attacks or false positives"
        ),
        classes={
            "false-positive": "Nothing that an analyst needed to see.",
            "attack": "A step of a true attack.",
        },
        positive=("attack",),
        normalizer=FEATURES,
        max_bytes=4 * (len(_NUMBERS) + len(_CATEGORIES)),
        text_columns=("features",),
        label_columns=("event_label", "label", "verdict", "IncidentGrade"),
        group_columns=("scenario", "group"),
        aliases=dict.fromkeys(_ATTACKS, "attack") | dict.fromkeys(_NO_ATTACKS, "false-positive"),
        medium="row",
        numbers=_NUMBERS,
        categories=_CATEGORIES,
    )
)
