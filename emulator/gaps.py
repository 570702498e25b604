"""What AWS does and nothing here does, by service; docs/emulator.md prints it under "Not here".

Belongs in here: a gap that somebody who reads a green run must know of. Whoever closes one deletes its line.
"""

from __future__ import annotations

NOT_HERE = {
    "All of them": "to keep through a kill what was answered after the last checkpoint: at most some 30 seconds",
    "Kinesis": "on-demand streams that grow (they keep four shards), a change of the mode, the status UPDATING, "
    "limits of enhanced fan-out and of the calls that describe and list",
    "Kinesis to Lambda": "its reading uses up nothing of a shard's GetRecords limits; tumbling windows, enhanced "
    "fan-out, AT_TIMESTAMP in a template",
    "Lambda": "memory and payload limits, a sandbox: a function is a process of the server's own user; asynchronous "
    "invocations that outlive the server: one that is under way when it stops or is killed is not made again",
    "Firehose": "transformation, de-aggregation, backup buckets; other formats and destinations than gzip to S3",
    "Glue jobs": "workers on other machines, modules installed by pip (wheels in S3 are taken), schedules, bookmarks",
    "S3": "inventory, S3 Select, what Intelligent-Tiering moves by itself, restores of versions that are not current",
    "Glue crawlers": "classifiers of one's own, CSV, schedules, grouping without CombineCompatibleSchemas",
    "Glue catalog": "versions of tables, search, column statistics by the crawler",
    "Athena": "Iceberg tables and DDL; it reads a table whose key repeats a column, which AWS refuses",
    "CloudWatch": "metric math, SEARCH and anomaly detection, in queries and alarms; request metrics of S3; DynamoDB "
    "charges a read by the request or item, not by its size, in answers and metrics alike",
    "CloudWatch alarms": "actions other than topics; an alarm on metric math fails the deploy",
    "CloudFormation": "to refuse a secret whose name is there: after a stack was deleted and its secret retained, the "
    "next one of the name gets a new text",
    "EventBridge": "events of services other than alarms, Glue's jobs and crawlers, and S3",
    "IAM": "no request is checked against a policy",
    "KMS": "encryption is declared and read back; objects lie as they are",
}
