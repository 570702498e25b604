-- description: Orders and money per day and currency, exact; what finance compares with the payment provider.
-- partition: event_date
-- sources: events.payment_events
SELECT
    event_date,
    currency,
    count_if(status = 'created') AS orders_created,
    count_if(status = 'completed') AS orders_completed,
    count_if(status = 'declined') AS charges_declined,
    count_if(status = 'abandoned') AS orders_abandoned,
    -- an order counts as money once, when it is completed
    coalesce(sum(CASE WHEN status = 'completed' THEN gross_amount END), 0) AS gross_amount,
    coalesce(sum(CASE WHEN status = 'completed' THEN discount_amount END), 0) AS discount_amount,
    coalesce(sum(CASE WHEN status = 'completed' THEN net_amount END), 0) AS net_amount,
    coalesce(sum(CASE WHEN status = 'completed' THEN tax_amount END), 0) AS tax_amount
FROM events.payment_events
WHERE event_subtype = 'order'
GROUP BY event_date, currency
