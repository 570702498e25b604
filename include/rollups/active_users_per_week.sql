-- description: People who used the product per week and client, and who of them learned; event_date is the week's Monday.
-- partition: event_date
-- window: week
-- sources: events.lesson_events, events.session_events
SELECT
    monday AS event_date,
    platform,
    count(DISTINCT user_id) AS active_users,
    count(DISTINCT CASE WHEN has_learned THEN user_id END) AS learners,
    count(DISTINCT day) AS days_with_events
FROM (
    SELECT
        CAST(date_trunc('WEEK', event_date) AS DATE) AS monday,
        event_date AS day,
        app.platform AS platform,
        user_id,
        false AS has_learned
    FROM events.session_events
    UNION ALL
    SELECT
        CAST(date_trunc('WEEK', event_date) AS DATE) AS monday,
        event_date AS day,
        app.platform AS platform,
        user_id,
        event_subtype = 'completed' AS has_learned
    FROM events.lesson_events
) AS activity
GROUP BY monday, platform
