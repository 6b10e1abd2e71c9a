-- The bytes of small blobs, one after the other in order of arrival. They have rows of their own because counting how
-- often a blob is named rewrites its row, and because a table ordered by hash would be written all over.

CREATE TABLE small_blobs (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
-- Where the bytes are; NULL for a blob that is a file.
ALTER TABLE blobs ADD COLUMN place INTEGER;
