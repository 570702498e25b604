-- description: From opening a lesson to passing it, per day and client; exercises on the way, and how well they went.
-- partition: event_date
-- sources: events.lesson_events
SELECT
    event_date,
    app.platform AS platform,
    count(DISTINCT user_id) AS learners,
    count_if(event_subtype = 'started') AS lessons_started,
    count_if(event_subtype = 'completed') AS lessons_completed,
    count_if(event_subtype = 'completed' AND passed) AS lessons_passed,
    count_if(event_subtype = 'abandoned') AS lessons_abandoned,
    count_if(event_subtype = 'exercise' AND event_detail = 'answered') AS exercises_answered,
    count_if(event_subtype = 'exercise' AND event_detail = 'answered' AND outcome = 'correct') AS exercises_right,
    count_if(event_subtype = 'exercise' AND event_detail = 'hint:shown') AS hints_shown,
    coalesce(sum(CASE WHEN event_subtype = 'exercise' THEN points END), 0) AS points,
    CAST(avg(CASE WHEN event_subtype = 'completed' THEN score END) AS DECIMAL(5, 2)) AS mean_score
FROM events.lesson_events
GROUP BY event_date, app.platform
