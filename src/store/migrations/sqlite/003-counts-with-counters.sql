-- How many records a collection has, kept among the counters under # and the collection's number: most batches that bring
-- records move a counter, too, and each table that a batch touches is a page of the log.

INSERT INTO counters (name, value) SELECT '#' || n, row_count FROM collections;
ALTER TABLE collections DROP COLUMN row_count;
