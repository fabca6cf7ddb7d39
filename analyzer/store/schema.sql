-- SPDX-License-Identifier: MIT
-- schema.sql - a seep recording: one traced process tree
--
-- Sizes are requested bytes. Times (_ms) are milliseconds since the start of
-- the recording, which is the setting start_unix_ms. user_version is the
-- version of this schema; see seep-recording(5).

PRAGMA application_id = 1397048656; -- "SEEP"
PRAGMA user_version = 2;

CREATE TABLE setting ( -- seep_version, start_unix_ms, hostname, ...
	key TEXT PRIMARY KEY NOT NULL,
	value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE process ( -- one per program image or forked child
	id INTEGER PRIMARY KEY,
	parent INTEGER NOT NULL, -- process.id, 0: none in this recording
	pid INTEGER NOT NULL,
	ppid INTEGER NOT NULL,
	state TEXT NOT NULL, -- running, exited, execed, lost
	forked INTEGER NOT NULL, -- 1: began by fork, not by exec
	exe TEXT,
	start_unix_ms INTEGER NOT NULL,
	start_ms INTEGER NOT NULL,
	end_ms INTEGER NOT NULL, -- of the last look, while it runs
	exit_code INTEGER, -- NULL: none or unknown
	exit_signal INTEGER,
	live_blocks INTEGER NOT NULL,
	live_bytes INTEGER NOT NULL,
	alloc_blocks INTEGER NOT NULL,
	alloc_bytes INTEGER NOT NULL,
	free_blocks INTEGER NOT NULL,
	free_bytes INTEGER NOT NULL,
	unknown_frees INTEGER NOT NULL, -- of blocks that seep never saw
	inherited_blocks INTEGER NOT NULL, -- alive at the fork, approximate
	inherited_bytes INTEGER NOT NULL,
	peak_live_bytes INTEGER NOT NULL, -- largest sum seen: sampled
	peak_ms INTEGER NOT NULL,
	rss_bytes INTEGER NOT NULL, -- at the last look, 0: unknown
	uss_bytes INTEGER NOT NULL,
	pss_bytes INTEGER NOT NULL,
	seep_bytes INTEGER NOT NULL, -- our segment, part of rss_bytes
	-- 0: every block is recorded. Else one of at least so many bytes is
	-- recorded always, one of s bytes with the probability
	-- 1 - exp(-s / sample_bytes); counts are estimates and each _var the
	-- variance of one of them.
	sample_bytes INTEGER NOT NULL,
	live_blocks_var REAL NOT NULL,
	live_bytes_var REAL NOT NULL,
	alloc_blocks_var REAL NOT NULL,
	alloc_bytes_var REAL NOT NULL,
	free_blocks_var REAL NOT NULL,
	free_bytes_var REAL NOT NULL
);

CREATE TABLE argument ( -- the command line, position 0 first
	process INTEGER NOT NULL,
	position INTEGER NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (process, position)
) WITHOUT ROWID;

CREATE TABLE drop_cause ( -- what could not be recorded, and what it means
	cause INTEGER PRIMARY KEY,
	name TEXT NOT NULL,
	meaning TEXT NOT NULL
);

CREATE TABLE drops ( -- causes that are not listed are 0
	process INTEGER NOT NULL,
	cause INTEGER NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (process, cause)
) WITHOUT ROWID;

CREATE TABLE module ( -- an executable or library, by content
	id INTEGER PRIMARY KEY,
	path TEXT NOT NULL,
	build_id TEXT -- hex
);

-- The call tree: a node is a frame called from the stack of its parent, and
-- stands for the whole stack from itself to the root. A parent's id is always
-- smaller. A site is named by the id of its innermost node.
CREATE TABLE node (
	id INTEGER PRIMARY KEY,
	parent INTEGER NOT NULL, -- 0: outermost
	module INTEGER NOT NULL, -- 0: code outside of every module
	offset INTEGER NOT NULL, -- return address less load bias; an absolute
				 -- address where module is 0
	kind INTEGER NOT NULL, -- 1 native, 2 unknown code, 3 stack cut here
	exact INTEGER NOT NULL -- 1: offset is the pc, not a return address
);

CREATE TABLE string (
	id INTEGER PRIMARY KEY,
	text TEXT NOT NULL
);

-- The frames that one address stands for; depth 0 is the innermost, all but
-- the last one are inlined into the next.
CREATE TABLE symbol (
	module INTEGER NOT NULL,
	offset INTEGER NOT NULL,
	exact INTEGER NOT NULL,
	depth INTEGER NOT NULL,
	function INTEGER, -- string.id; NULL: unknown
	file INTEGER, -- string.id
	line INTEGER NOT NULL, -- 0: unknown
	inlined INTEGER NOT NULL,
	PRIMARY KEY (module, offset, exact, depth)
) WITHOUT ROWID;

CREATE TABLE snapshot ( -- of one process; ids grow with time
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL,
	kind TEXT NOT NULL, -- periodic, checkpoint, request, peak, mark, end
	label TEXT,
	at_ms INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	live_blocks INTEGER NOT NULL,
	live_bytes INTEGER NOT NULL,
	alloc_blocks INTEGER NOT NULL,
	alloc_bytes INTEGER NOT NULL,
	free_blocks INTEGER NOT NULL,
	free_bytes INTEGER NOT NULL,
	rss_bytes INTEGER NOT NULL,
	live_blocks_var REAL NOT NULL, -- see sample_bytes of process
	live_bytes_var REAL NOT NULL,
	alloc_blocks_var REAL NOT NULL,
	alloc_bytes_var REAL NOT NULL,
	free_blocks_var REAL NOT NULL,
	free_bytes_var REAL NOT NULL
);
CREATE INDEX snapshot_process ON snapshot (process, id);

-- What a site's counts changed to. At snapshot S of a process a site has the
-- counts of its row with the largest snapshot up to S of the same process.
CREATE TABLE site_count (
	snapshot INTEGER NOT NULL,
	site INTEGER NOT NULL, -- node.id
	live_blocks INTEGER NOT NULL,
	live_bytes INTEGER NOT NULL,
	alloc_blocks INTEGER NOT NULL,
	alloc_bytes INTEGER NOT NULL,
	free_blocks INTEGER NOT NULL,
	free_bytes INTEGER NOT NULL,
	live_blocks_var REAL NOT NULL, -- see sample_bytes of process
	live_bytes_var REAL NOT NULL,
	alloc_blocks_var REAL NOT NULL,
	alloc_bytes_var REAL NOT NULL,
	free_blocks_var REAL NOT NULL,
	free_bytes_var REAL NOT NULL,
	PRIMARY KEY (snapshot, site)
) WITHOUT ROWID;

CREATE TABLE survivor ( -- recorded blocks alive at the last look, by site and
			-- size: what was sampled, no estimates
	process INTEGER NOT NULL,
	site INTEGER NOT NULL, -- node.id
	class INTEGER NOT NULL, -- 0 unknown, 1 definite, 2 indirect,
				-- 3 possible, 4 reachable, 5 inherited
	size_bytes INTEGER NOT NULL,
	blocks INTEGER NOT NULL,
	oldest_ms INTEGER, -- births; NULL: unknown
	newest_ms INTEGER,
	PRIMARY KEY (process, site, class, size_bytes)
) WITHOUT ROWID;

CREATE TABLE history ( -- how histories of blocks were recorded
	process INTEGER PRIMARY KEY,
	every INTEGER NOT NULL, -- 1: of all blocks; N: of one in N on average
	lost INTEGER NOT NULL -- events that should be there and are not
);

-- Histories of the blocks that a site allocated. All counts are of recorded
-- histories: with a sample they stand for `every` times as many.
CREATE TABLE site_history (
	process INTEGER NOT NULL,
	site INTEGER NOT NULL, -- node.id
	begun INTEGER NOT NULL, -- blocks whose history was recorded
	ended INTEGER NOT NULL, -- of them, freed
	temporary INTEGER NOT NULL, -- freed by the thread that allocated them
				    -- before its next allocation
	temporary_bytes INTEGER NOT NULL,
	elsewhere INTEGER NOT NULL, -- freed by another thread
	total_ns INTEGER NOT NULL, -- sum of the lifetimes
	min_ns INTEGER NOT NULL,
	max_ns INTEGER NOT NULL,
	PRIMARY KEY (process, site)
) WITHOUT ROWID;

CREATE TABLE lifetime ( -- blocks freed after a time, in classes
	process INTEGER NOT NULL,
	site INTEGER NOT NULL,
	class INTEGER NOT NULL, -- 0 to 3: so many ns; C: from
				-- (4 + C % 4) << (C / 4 - 1) ns on
	blocks INTEGER NOT NULL,
	PRIMARY KEY (process, site, class)
) WITHOUT ROWID;

CREATE TABLE freed_by ( -- by which stacks a site's blocks were freed
	process INTEGER NOT NULL,
	site INTEGER NOT NULL,
	free_site INTEGER NOT NULL, -- node.id
	blocks INTEGER NOT NULL,
	PRIMARY KEY (process, site, free_site)
) WITHOUT ROWID;

CREATE TABLE event (
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL,
	at_ms INTEGER NOT NULL,
	kind TEXT NOT NULL, -- fork, exec, mark, ...
	text TEXT
);

CREATE TABLE baseline ( -- where the next `seep growth PID` of a user begins
	process INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	snapshot INTEGER NOT NULL,
	PRIMARY KEY (process, uid)
) WITHOUT ROWID;

-- For people with the sqlite3 shell; seep itself does not read the views.
CREATE VIEW frame AS
	SELECT s.module, s.offset, s.exact, s.depth, f.text AS function,
		p.text AS file, s.line, s.inlined
	FROM symbol AS s
	LEFT JOIN string AS f ON f.id = s.function
	LEFT JOIN string AS p ON p.id = s.file;

CREATE VIEW stack AS -- frame `level` of a site, 0 innermost
	WITH RECURSIVE walk (site, level, node) AS (
		SELECT DISTINCT site, 0, site FROM survivor
		UNION ALL
		SELECT w.site, w.level + 1, n.parent
		FROM walk AS w JOIN node AS n ON n.id = w.node
		WHERE n.parent <> 0
	)
	SELECT w.site, w.level, f.depth, f.function, f.file, f.line,
		m.path AS module, n.offset
	FROM walk AS w
	JOIN node AS n ON n.id = w.node
	LEFT JOIN module AS m ON m.id = n.module
	LEFT JOIN frame AS f ON f.module = n.module
		AND f.offset = n.offset AND f.exact = n.exact;

CREATE VIEW live AS -- recorded bytes and blocks alive of each site
	SELECT process, site, sum(blocks) AS blocks,
		sum(blocks * size_bytes) AS bytes
	FROM survivor GROUP BY process, site;
