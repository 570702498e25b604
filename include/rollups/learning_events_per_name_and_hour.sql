-- description: How many events of each name happened in which hour, for the tables that learning fills.
-- partition: event_date
-- sources: events.exercise_events, events.lesson_events, events.playback_events, events.session_events
SELECT
    event_date,
    event_name,
    date_trunc('HOUR', created_datetime) AS hour,
    count(*) AS events,
    min(created_datetime) AS first_created,
    max(created_datetime) AS last_created,
    max(ingested_at) AS last_ingested
FROM (
    SELECT event_date, event_name, created_datetime, ingested_at FROM events.exercise_events
    UNION ALL
    SELECT event_date, event_name, created_datetime, ingested_at FROM events.lesson_events
    UNION ALL
    SELECT event_date, event_name, created_datetime, ingested_at FROM events.playback_events
    UNION ALL
    SELECT event_date, event_name, created_datetime, ingested_at FROM events.session_events
) AS learning
GROUP BY event_date, event_name, date_trunc('HOUR', created_datetime)
