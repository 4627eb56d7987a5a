"""Alert triage: alerts become incidents, and incidents a queue for an analyst."""
