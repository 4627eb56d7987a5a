#!/bin/sh
# Lines in, detections into a file: what rsyslog runs.
exec buckler stream - --bundle url --pass-over --only-detections --as ecs --text >> /var/log/buckler/detections.json
