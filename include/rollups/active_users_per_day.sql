-- description: People who used the product per day and client, and who of them learned; the day is the event's, UTC.
-- partition: event_date
-- sources: events.lesson_events, events.session_events
SELECT
    event_date,
    platform,
    count(DISTINCT user_id) AS active_users,
    count(DISTINCT CASE WHEN has_learned THEN user_id END) AS learners,
    count_if(is_session_start) AS sessions_started,
    coalesce(sum(active_seconds), 0) AS active_seconds
FROM (
    SELECT
        event_date,
        app.platform AS platform,
        user_id,
        false AS has_learned,
        event_subtype = 'started' AS is_session_start,
        active_seconds
    FROM events.session_events
    UNION ALL
    SELECT
        event_date,
        app.platform AS platform,
        user_id,
        event_subtype = 'completed' AS has_learned,
        false AS is_session_start,
        NULL AS active_seconds
    FROM events.lesson_events
) AS activity
GROUP BY event_date, platform
