/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * wire.h: every record that crosses from the kernel to user space, and every value of a map that user
 * space reads or writes. The single source: collector/kernel/wire.py mirrors it and tests/collector/
 * kernel/test_wire.py compares each field's offset and size with the BTF of the built object.
 *
 * Rules. Plain fixed-width types only. No implicit padding: `_pad` is written out. A record is a struct
 * pg_* that begins with struct pg_hdr; variable data follows the struct, its parts in the order of the
 * *_len fields, without terminating NULs. Strings are bytes the observed process chose: untrusted.
 */
#ifndef POLYGRAPH_WIRE_H
#define POLYGRAPH_WIRE_H

#define PG_WIRE_VERSION 1

#define PG_PATH_MAX 4096
#define PG_ARGV_MAX 65536 /* bytes of argv that a record carries; longer ones are marked */
#define PG_TLS_CHUNK 16384 /* plaintext bytes in one tls record; a call is a run of them */
#define PG_TLS_CALL_MAX (4 * 1024 * 1024) /* bytes of one SSL_read/SSL_write that are copied */

enum pg_type {
	PG_SESSION_BEGIN = 1, /* a root was enrolled by the kernel side (pg_session_begin) */
	PG_SESSION_IDLE = 2,  /* the last live process of the session ended (pg_hdr only) */
	PG_FORK = 3,
	PG_EXEC = 4,
	PG_EXEC_FAILED = 5,
	PG_EXIT = 6,
	PG_FILE = 7,
	PG_MAPPED = 9, /* a file was mapped executable for the first time: may hold a TLS library */
	PG_NET = 10,
	PG_FLOW = 11,
	PG_DNS = 12, /* raw DNS answer */
	PG_SNI = 13,
	PG_TLS = 14,
	PG_TLS_CLOSE = 15,
	PG_URING = 16,
	PG_CANDIDATE = 17, /* watch --auto: a process outside any session that may become one */
	PG_PLAIN = 18, /* bytes of a connection that has no TLS */
	PG_PLAIN_CLOSE = 19,
	PG_DELEGATED = 20, /* a process outside the lineage came in: it does work of the session (delegate.h) */
};

/* Every record begins with this. Times are CLOCK_BOOTTIME ns, pids those of the initial namespace. */
struct pg_hdr {
	__u32 size; /* of the whole record, variable data included */
	__u16 type; /* enum pg_type */
	__u16 _pad;
	__u64 ts;
	__u64 session; /* handle, see struct pg_session */
	__u64 seq;     /* per session, from 1, taken before the ring is asked: a gap is a lost record */
	__u64 start;   /* start time of the process (thread group leader) */
	__u32 pid;     /* thread group id */
	__u32 tid;
};

/* Value of the task-local storage: present on a task exactly when it belongs to a session. */
struct pg_lineage {
	__u64 session;
	__u64 ended; /* of a thread group leader: the end of its process was told */
	/* The function of a TLS library that the thread is in, cf. tls.h; ssl 0: none. */
	__u64 tls_ssl;
	__u64 tls_buffer; /* 0: the bytes cannot be had */
	__u64 tls_moved; /* where an _ex function stores how many bytes it moved, else 0; rustls: how many it was given */
	__u64 tls_direction;
	__u64 tls_began; /* of a call that sends: when it was entered; else 0 */
	__u64 tls_pieces; /* rustls: so many slices are listed at tls_buffer; 0: it is the one */
	__u64 tls_skip;   /* rustls: bytes of the slices before the first one that is meant */
	__u64 tls_quiet;  /* calls within that are not told, cf. tls_other.h */
	__u64 asleep;     /* of a thread that sleeps: since when, cf. ipc.h; else 0 */
	/* The file that the thread opened for reading last, and how far it was read, cf. reads.h; read_ts 0: none. */
	__u64 read_ts; /* when it was opened */
	__u64 read_ino;
	__u32 read_dev;
	__u32 read_pages; /* PG_PAGES_ALL: not known */
	__u32 read_of;    /* pages that it had when it was opened */
	__u32 _pad;
};

/* Why a record did not reach user space. The table of causes; collector/kernel/wire.py names them. */
enum pg_loss {
	PG_LOSS_RING = 0,    /* ring buffer full */
	PG_LOSS_SCRATCH = 1, /* per-CPU scratch in use: a probe interrupted another one */
	PG_LOSS_STORAGE = 2, /* task storage refused: a child may have left the lineage */
	PG_LOSS_MAP = 3,     /* a bookkeeping map was full */
	PG_LOSS_READ = 4,    /* kernel or user memory could not be read: the record would be empty */
	PG_LOSS_CAUSES = 5,
};

/* The dimension that suffers from a loss; same order as polygraph.reasons.DIMENSIONS. */
enum pg_dimension {
	PG_DIM_PROCESS = 0,
	PG_DIM_FILE = 1,
	PG_DIM_NETWORK = 2,
	PG_DIM_TLS = 3,
	PG_DIM_IPC = 4,
	PG_DIMENSIONS = 5,
};

/* Map `sessions`, key: handle. Written by user space at enrolment (or by the kernel for --exe). */
struct pg_session {
	__s64 live;    /* processes of the lineage that have not exited */
	__u64 emitted; /* last seq given out */
	__u64 lost[PG_DIMENSIONS][PG_LOSS_CAUSES];
	__u64 flags;   /* enum pg_session_flag */
};

enum pg_session_flag {
	PG_SESSION_CANARY = 1,  /* polygraph's own probe check */
	PG_SESSION_NO_TLS = 2,  /* content level off: no plaintext is copied */
	PG_SESSION_URING_FILE = 4,    /* set by the kernel: an io_uring hid something of PG_DIM_FILE, and it was told */
	PG_SESSION_URING_NETWORK = 8, /* likewise */
};

enum pg_origin { PG_ORIGIN_EXE = 3 };

struct pg_session_begin {
	struct pg_hdr hdr;
	__u32 origin; /* enum pg_origin */
	__u32 tasks;  /* processes that this enrolment found */
};

struct pg_fork {
	struct pg_hdr hdr; /* the parent */
	__u64 child_start;
	__u32 child_pid;
	__u32 _pad;
};

struct pg_exec {
	struct pg_hdr hdr;
	__u64 parent_start;
	__u32 parent_pid;
	__u32 uid;
	__u32 gid;
	__u32 dev;
	__u64 ino;
	__u64 cgroup;
	__u32 ns_mnt, ns_pid, ns_net, ns_user, ns_uts, ns_ipc, ns_cgroup;
	__u32 argv_total; /* bytes of the whole argv */
	__u32 argv_len;   /* bytes of it that follow: arguments, each ended by NUL */
	__u16 path_len;   /* resolved path of the file that runs */
	__u16 script_len; /* bprm->filename when an interpreter was substituted, else 0 */
	__u16 cwd_len;
	__u16 cgroup_len; /* last component of the cgroup's path */
	__u8 path_truncated;
	__u8 cwd_truncated;
	__u8 trace_len; /* TRACEPARENT of its environment */
	__u8 _pad[9];
	char comm[16];
	/* path, script, cwd, cgroup, argv, trace */
};

/* Who does work for others, cf. data/delegators.toml. */
enum pg_service {
	PG_SERVICE_SSH = 1,
	PG_SERVICE_TMUX = 2,
	PG_SERVICE_LAUNCHER = 3, /* starts what a cgroup was made for, and is none of it */
	PG_SERVICE_DOCKER = 4,
};

/* What the two sides of a delegation have in common. */
enum pg_evidence {
	PG_EVIDENCE_CONNECTION = 1, /* it was forked by who accepted the client's connection, and holds it */
	PG_EVIDENCE_COMMAND = 2,    /* ... by who served the client alone, and executes the client's own words */
	PG_EVIDENCE_SHELL = 3,      /* ... by who served the client alone, and is a login shell */
	PG_EVIDENCE_CGROUP = 4,     /* its cgroup was made under the name that the client was given */
};

struct pg_delegated {
	struct pg_hdr hdr; /* the process that came in */
	__u64 by_start;    /* the process of the lineage that asked for it */
	__u32 by_pid;
	__u8 service;  /* enum pg_service */
	__u8 evidence; /* enum pg_evidence */
	__u8 _pad[2];
};

/* Map `expected_groups`, key: last component of a cgroup's path, ended by NULs. */
#define PG_GROUP_NAME 128
struct pg_group_name {
	__u8 text[PG_GROUP_NAME];
};

struct pg_group {
	__u64 session;
	__u64 start; /* of the process that asked for it */
	__u32 pid;
	__u32 service; /* enum pg_service */
};

struct pg_exec_failed {
	struct pg_hdr hdr;
	__s32 error; /* errno, positive */
	__u16 path_len; /* as passed */
	__u16 _pad;
};

struct pg_exit {
	struct pg_hdr hdr;
	__u32 code; /* as wait(2) reports it: status << 8 | core << 7 | signal */
	__u32 _pad;
};

enum pg_file_op {
	PG_OP_READ = 0,
	PG_OP_WRITE = 1,
	PG_OP_CREATE = 2,
	PG_OP_TRUNCATE = 3,
	PG_OP_UNLINK = 4,
	PG_OP_RMDIR = 5,
	PG_OP_RENAME = 6,
	PG_OP_LINK = 7,
	PG_OP_SYMLINK = 8,
	PG_OP_MKDIR = 9,
	PG_OP_CHMOD = 10,
};

enum pg_file_flag {
	PG_FILE_RESOLVED = 1,  /* path is that of the opened file */
	PG_FILE_DELETED = 2,   /* it had no name any more */
	PG_FILE_MEMFD = 4,
	PG_FILE_TRUNCATED = 8, /* path longer than PG_PATH_MAX or deeper than the walk */
	PG_FILE_SENSITIVE = 16,
	PG_FILE_BASE = 32,     /* base is set: path is relative to it */
	PG_FILE_BASE2 = 64,
};

/* Path arguments that the kernel did not keep resolved come as base (directory, resolved) + path (as passed). */
struct pg_file {
	struct pg_hdr hdr;
	__u64 ino; /* of a failed open for reading: a hash of its path, which later failures count under */
	__u32 dev;
	__u32 flags;      /* enum pg_file_flag */
	__u32 open_flags; /* O_* or AT_* of the call */
	__u32 mode;
	__s32 error;      /* errno, 0: it happened */
	__u8 op;          /* enum pg_file_op */
	__u8 rule;        /* sensitive rule, index into data/sensitive_paths.toml */
	__u16 base_len;
	__u16 path_len;
	__u16 base2_len;
	__u16 path2_len;
	__u16 _pad;
	/* base, path, base2, path2 */
};

/* Map `touched`, key pg_touch_key: later touches of a file already reported. User space flushes it. */
struct pg_touch_key {
	__u64 session;
	__u64 ino;
	__u32 dev;
	__u32 op; /* enum pg_file_op | errno << 8 */
};

struct pg_touch {
	__u64 count; /* since the last flush */
	__u64 first_ts;
	__u64 last_ts;
	__u64 start; /* the last toucher */
	__u32 pid;
	__u32 _pad;
};

/* A record of the ring `opened`, which has no other: an ordinary file was opened for reading. No header, no seq. */
struct pg_opened {
	__u64 session;
	__u64 ino;
	__u64 start;
	__u64 ts;
	__u64 entry; /* the name it was opened by, see pg_entry_of() in reads.h; 0: not known; or: */
	__u32 dev;
	__u32 pid;
};

/* What a thread waited in or for. The names of polygraph.events.Wait, in its order. */
enum pg_wait_kind {
	PG_WAIT_OTHER = 0,   /* a call that none of the others is, ended by a process that is known */
	PG_WAIT_SEVERAL = 1, /* poll, select, epoll, io_uring, a signal: for whatever came first */
	PG_WAIT_PIPE = 2,
	PG_WAIT_UNIX = 3,
	PG_WAIT_LOOPBACK = 4,
	PG_WAIT_FUTEX = 5, /* one that processes share */
	PG_WAIT_LOCK = 6,  /* of a file */
	PG_WAIT_SEMAPHORE = 7, /* System V's */
	PG_WAIT_QUEUE = 8,     /* of messages */
	PG_WAIT_CHILD = 9,
};

/* A record of the ring `waited`, which has no other: a thread slept in a call, and was woken. No header, no seq. */
struct pg_waited {
	__u64 session;
	__u64 start;    /* of the process that waited */
	__u64 on_start; /* of the process that was waited for */
	__u64 object;   /* inode of the pipe, socket or file; id of the semaphores or queue; address of the futex */
	__u64 since;
	__u64 ts; /* when it was woken */
	__u32 pid;
	__u32 tid;
	__u32 on_pid; /* 0: not known */
	__u8 kind;    /* enum pg_wait_kind */
	__u8 theirs;  /* `object` is the one that the other process used: the waiting one waited for several */
	__u8 _pad[2];
};

/*
 * An `entry` with this bit: the row is no opening, but tells of the opening at `ts` how many pages of the file were
 * asked for at most (<< 32), and how many it had. PG_PAGES_ALL: somebody read it in a way that is not followed, and
 * nothing is known of any reading of it.
 */
#define PG_OPENED_EXTENT (1ull << 63)
#define PG_PAGES_ALL 0x7fffffffu

/*
 * Map `sensitive`: rules of data/sensitive_paths.toml. A rule matches a file when the first bytes of its last
 * component (head), the last bytes of it (tail) and the first bytes of its directory's name (parent) equal the
 * rule's under their masks, and the lengths agree; a length of 0 accepts any.
 */
#define PG_RULES 64
#define PG_RULE_NAME 32
struct pg_rule {
	__u64 head[4], head_mask[4];
	__u64 parent[4], parent_mask[4];
	__u64 tail, tail_mask; /* the last 8 bytes, the very last one highest */
	__u32 name_len;
	__u32 parent_len;
};

/* Map `mapped`, key: executable mappings that were reported, and programs that were executed. */
struct pg_mapped_key {
	__u64 ino;
	__u32 dev;
	__u32 ns_mnt; /* 0: as a program, in whatever namespace */
};

struct pg_mapped {
	struct pg_hdr hdr;
	__u64 ino;
	__u32 dev;
	__u32 ns_mnt;
	__u16 path_len;
	__u8 _pad[6];
};

enum pg_net_op { PG_NET_CONNECT = 0, PG_NET_ACCEPT = 1, PG_NET_BIND = 2, PG_NET_LISTEN = 3 };

/* An address as the kernel holds it. Ports in host order, addr in network order. */
struct pg_addr {
	__u16 family; /* AF_* */
	__u16 port;
	__u32 cid; /* vsock: cid, and port in port32 */
	__u32 port32;
	__u8 addr[16];
};

struct pg_net {
	struct pg_hdr hdr;
	__u64 cookie; /* socket's identity: its inode number */
	struct pg_addr remote;
	struct pg_addr local;
	__s32 error;
	__u16 protocol; /* IPPROTO_* */
	__u8 op;
	__u8 _pad;
	__u16 unix_len; /* bytes of the unix path; first byte 0: abstract */
	__u8 _pad2[2];
	__u32 peer_pid; /* unix: who listens at the other end (SO_PEERCRED); 0: not known */
};

struct pg_flow {
	struct pg_hdr hdr; /* the process that opened it */
	__u64 cookie;
	__u64 sent;
	__u64 received;
	struct pg_addr remote;
	struct pg_addr local;
	__u16 protocol;
	__u8 established;
	__u8 closed;
	__u8 _pad[4];
};

struct pg_dns {
	struct pg_hdr hdr;
	__u16 data_len;
	__u8 _pad[6];
};

struct pg_sni {
	struct pg_hdr hdr;
	__u64 ssl;
	__u16 name_len;
	__u8 _pad[6];
};

enum pg_tls_direction { PG_TLS_SENT = 0, PG_TLS_RECEIVED = 1 };

/* Whose function it was: user space gives it to the probes of each file (the cookie of the attachment). */
enum pg_tls_library {
	PG_TLS_UNKNOWN = 0,
	PG_TLS_OPENSSL = 1,
	PG_TLS_BORINGSSL = 2,
	PG_TLS_RUSTLS = 3,
	PG_TLS_GO = 4,
	PG_TLS_GNUTLS = 5,
	PG_TLS_NSS = 6,
};

struct pg_tls {
	struct pg_hdr hdr;
	__u64 ssl;        /* address of the connection's object: SSL, CommonState, tls.Conn, … */
	__u64 generation; /* counts reuses of that address within the process */
	__u64 offset;     /* of data within this direction of this connection */
	__u32 data_len;   /* bytes that follow */
	__u32 missing;    /* bytes of the call after data that were not copied (beyond PG_TLS_CALL_MAX) */
	__u8 direction;   /* enum pg_tls_direction */
	__u8 _pad[3];
	__u32 library;    /* enum pg_tls_library */
};

struct pg_tls_close {
	struct pg_hdr hdr;
	__u64 ssl;
	__u64 generation;
	__u32 library; /* enum pg_tls_library */
	__u32 _pad;
};

enum pg_plain_kind { PG_PLAIN_TCP = 0, PG_PLAIN_UNIX = 1, PG_PLAIN_PIPE = 2 };

/* Map `plain_choices`, key: generation. What user space made of a connection; without a row it is on trial. */
enum pg_plain_choice { PG_PLAIN_KEEP = 1, PG_PLAIN_LEAVE = 2 };

struct pg_plain {
	struct pg_hdr hdr;
	__u64 connection;     /* the same at both ends; a pipe has one of its own */
	__u64 generation;     /* counts uses of that number; unique on this host */
	__u64 offset;         /* of data within this direction of this connection */
	__u64 socket;         /* inode number of the socket or pipe, cf. pg_net.cookie */
	__u64 standard_input; /* of JSON: what the program had as input that has this connection as standard output; 0: none */
	__u32 data_len;       /* bytes that follow */
	__u32 missing;        /* bytes of the call after data that were not copied */
	__u8 kind;            /* enum pg_plain_kind */
	__u8 direction;       /* enum pg_tls_direction */
	__u8 json;            /* it began as JSON, else as HTTP */
	__u8 asks;            /* of HTTP: the direction that requests go in */
	__u8 _pad[4];
};

struct pg_plain_close {
	struct pg_hdr hdr;
	__u64 connection;
	__u64 generation;
};

/* An operation went through an io_uring that the probes of a dimension would have seen as a call. */
#define PG_URING_MADE 0xffffffff
struct pg_uring {
	struct pg_hdr hdr;
	__u32 opcode; /* IORING_OP_*, or PG_URING_MADE: a ring was made, what goes through it cannot be told */
	__u8 dimension; /* enum pg_dimension */
	__u8 _pad[3];
};

struct pg_candidate {
	struct pg_hdr hdr; /* session 0 */
	struct pg_addr remote;
	__u32 _pad;
};

/* Map `request` (one row): which tasks the iterator pg_enrol takes into session `handle`. */
enum pg_enrol_mode { PG_ENROL_PID = 0, PG_ENROL_CGROUP = 1, PG_ENROL_RELEASE = 2, PG_ENROL_COUNT = 3 };

struct pg_request {
	__u64 session;
	__u64 target; /* pid (thread group id) or cgroup id */
	__u32 mode;   /* enum pg_enrol_mode */
	__u32 enrolled; /* set by the kernel: tasks that this pass took in */
	__u64 start;    /* set by the kernel: start time of the process `target` */
};

/* Maps `watched_files` (programs whose exec makes a session, watch --exe) and `delegators`: key. */
struct pg_file_key {
	__u64 ino;
	__u32 dev;
	__u32 _pad;
};

#endif
