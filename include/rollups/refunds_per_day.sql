-- description: Refunds asked for, decided and paid per day and currency, exact; each amount on the day of its own event.
-- partition: event_date
-- sources: events.refund_events
SELECT
    event_date,
    currency,
    count_if(event_subtype = 'requested') AS refunds_requested,
    count_if(event_subtype = 'decided' AND decision <> 'refused') AS refunds_granted,
    count_if(event_subtype = 'decided' AND decision = 'refused') AS refunds_refused,
    count_if(event_subtype = 'settled') AS refunds_settled,
    coalesce(sum(CASE WHEN event_subtype = 'requested' THEN requested_amount END), 0) AS requested_amount,
    -- a settlement repeats what was approved
    coalesce(sum(CASE WHEN event_subtype = 'decided' THEN approved_amount END), 0) AS approved_amount,
    coalesce(sum(CASE WHEN event_subtype = 'settled' THEN settled_amount END), 0) AS settled_amount
FROM events.refund_events
GROUP BY event_date, currency
