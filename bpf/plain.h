/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * plain.h: what the lineage says without TLS: HTTP over TCP and Unix sockets (models that run here, MCP servers), JSON-RPC
 * over pipes and socket pairs (MCP's stdio transport).
 *
 * Which connections. The first bytes decide: a request or a response of HTTP, over a pipe or a socket pair an object of
 * JSON. Of anything else nothing is copied, ever. What began right is copied on trial: user space, which reads it, says
 * by `plain_choices` that the connection is wanted, or is not. Until it does, what one side says before the other answers
 * is copied up to a limit only, so that a download takes no room from a model's words.
 *
 * Who tells. Of a connection between two processes of the session one end tells both directions: the one that connected,
 * else the one that spoke or heard first (`plain_claims`). A pipe is told by those who write to it. So each byte is told
 * once. A stdio server's answers are joined with its requests by what a program had as standard input and output when it
 * was executed (`plain_inputs`): servers move their descriptors away afterwards.
 *
 * Where. A hook of the socket layer tells what was moved (Linux 6.3, 6e6eda44b939), so reading a file costs nothing; before,
 * exits of the system calls do. Each connection counts the bytes of either direction, as in tls.h: what was not copied
 * leaves a hole.
 */
#ifndef POLYGRAPH_PLAIN_H
#define POLYGRAPH_PLAIN_H

#include "chunks.h"
#include "core.h"
#include "file.h"
#include "net.h"
#include "sock.h"

#define S_IFIFO 0010000
#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define TS_COMPAT 2 /* thread_info.status: a 32-bit system call, whose numbers are others */
#define PG_PLAIN_IOVECS 64 /* slices of one call that are followed; what lies in later ones is a hole */
/* Bytes that are copied on trial: of what asks, of what answers, of either side where it is JSON. */
#define PG_TRIAL_ASKED (8 * 1024 * 1024)
#define PG_TRIAL_ANSWERED (1024 * 1024)
#define PG_TRIAL_JSON (128 * 1024)

enum {
	NR_read = 0, NR_write = 1, NR_readv = 19, NR_writev = 20,
};

/* One end of a connection, as the session uses it. */
struct pg_plain_key {
	__u64 session;
	__u64 object; /* address of the struct sock, or of the pipe's inode */
};

struct pg_plain_end {
	__u64 ino; /* another one: the address is used again */
	__u64 connection;
	__u64 generation;
	__u64 moved[2];
	__u64 tried[2]; /* on trial: since the other direction was used */
	__u64 standard_input;
	__u32 kind;     /* enum pg_plain_kind */
	__u8 wanted;    /* else nothing of it is told by this end */
	__u8 json;
	__u8 asks; /* enum pg_tls_direction: the one that requests go in */
	__u8 _pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pg_plain_key);
	__type(value, struct pg_plain_end);
} plain_ends SEC(".maps");

/* (session, connection) -> inode number of the end that tells it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pg_plain_key);
	__type(value, __u64);
} plain_claims SEC(".maps");

/* (session, connection that is a program's standard output) -> the connection that is its standard input. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct pg_plain_key);
	__type(value, __u64);
} plain_inputs SEC(".maps");

/* Generation -> enum pg_plain_choice, by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} plain_choices SEC(".maps");

__u64 plain_generations = 0;

PG_INLINE __u64 pg_pipe_connection(struct inode *inode)
{
	return pg_mix(pg_number(inode) ^ PG_READ(inode, i_ino) << 40) | 1;
}

/* The connection that a process has as its descriptor `fd`; 0: neither a pipe nor a Unix socket. */
PG_INLINE __u64 pg_plain_at(struct task_struct *task, int fd)
{
	struct file *file = pg_file_of(task, fd);
	struct inode *inode;
	struct socket *socket;
	struct sock *sk, *peer;
	__u32 kind = 0;
	__u16 mode;

	if (!file)
		return 0;
	inode = PG_READ(file, f_inode);
	mode = PG_READ(inode, i_mode) & S_IFMT;
	if (mode == S_IFIFO)
		return pg_pipe_connection(inode);
	if (mode != S_IFSOCK)
		return 0;
	socket = (struct socket *)PG_READ(file, private_data);
	sk = PG_READ(socket, sk);
	return sk && PG_READ(sk, __sk_common.skc_family) == AF_UNIX ? pg_plain_connection(sk, &kind, &peer) : 0;
}

/* --- is it one of those? ------------------------------------------------------------------------------- */

/* Whether `length` bytes, the first of which are `first`, are the beginning of `text` or begin with it. */
#define PG_BEGINS(first, length, text)                                                       \
	({                                                                                   \
		__u64 _text = 0;                                                             \
		__u32 _size = sizeof(text) - 1;                                              \
		if (_size > (length))                                                        \
			_size = (length);                                                    \
		__builtin_memcpy(&_text, text, sizeof(text) - 1);                            \
		!(((first) ^ _text) & (_size >= 8 ? ~0ull : (1ull << (8 * _size & 63)) - 1)); \
	})

/*
 * Whether `first`, of which `length` bytes count, begins as a request of HTTP does. Not static: what is compared here is
 * then nothing to those who call it, and the verifier has half as much to look at.
 */
__noinline int pg_begins_request(__u64 first, __u32 length)
{
	return PG_BEGINS(first, length, "POST ") || PG_BEGINS(first, length, "GET ") ||
	       PG_BEGINS(first, length, "HEAD ") || PG_BEGINS(first, length, "PUT ") ||
	       PG_BEGINS(first, length, "DELETE ") || PG_BEGINS(first, length, "PATCH ") ||
	       PG_BEGINS(first, length, "OPTIONS ") || PG_BEGINS(first, length, "CONNECT ") ||
	       PG_BEGINS(first, length, "PRI * HT");
}

/* Sets what the first bytes tell: wanted, json, asks. Whether they could be read. */
PG_INLINE bool pg_plain_judge(struct pg_plain_end *end, const void *data, __u64 moved, __u8 direction)
{
	__u32 length = moved > 8 ? 8 : moved;
	__u64 first, bytes[2] = {}; /* as long as the mask lets the length be, which is all that 6.1 sees of it */

	if (bpf_probe_read_user(bytes, length & 15, data))
		return false;
	first = bytes[0];
	if (end->kind != PG_PLAIN_TCP && (__u8)first == '{') {
		end->wanted = end->json = 1;
		return true;
	}
	if (end->kind == PG_PLAIN_PIPE)
		return true;
	end->asks = direction;
	if (PG_BEGINS(first, length, "HTTP/1.")) {
		end->asks = !direction;
		end->wanted = 1;
	} else {
		end->wanted = pg_begins_request(first, length) != 0;
	}
	return true;
}

/* Whether this end tells the connection: the first that asks does, unless who did is gone. */
PG_INLINE bool pg_plain_claim(__u64 session, struct pg_plain_end *end, struct sock *peer)
{
	struct pg_plain_key key = {.session = session, .object = end->connection};
	__u64 *known;

	if (end->kind == PG_PLAIN_PIPE || pg_add(&plain_claims, &key, &end->ino) != -EEXIST)
		return true;
	known = bpf_map_lookup_elem(&plain_claims, &key);
	if (!known || *known == end->ino)
		return true;
	if (!peer || pg_sock_ino(peer) == *known)
		return false;
	bpf_map_update_elem(&plain_claims, &key, &end->ino, BPF_ANY); /* the address was another connection's */
	return true;
}

/* --- copying ------------------------------------------------------------------------------------------- */

struct pg_plain_copy {
	__u64 session;
	__u64 generation;
	__u64 connection;
	__u64 ino;
	__u64 offset; /* of the segment */
	__u64 buffer; /* the segment, and its bytes that are copied */
	__u64 iov;    /* user space's struct iovec[]; 0: the call has one buffer */
	__u32 length;
	__u32 left; /* bytes of the call that are to be copied, this segment's included */
	__u32 missing; /* bytes of the call beyond them, told with the last one */
	__u32 iovecs;
	__u64 standard_input;
	__u8 kind;
	__u8 direction;
	__u8 json;
	__u8 asks;
};

/*
 * What a server of this host answers may have to be known at once: the id of a container, cf. delegate.h. Without a
 * branch, which would double what the verifier looks at.
 */
PG_INLINE __u64 pg_plain_urgency(void *described)
{
	struct pg_plain_copy *copy = described;
	__u64 other = (copy->kind ^ PG_PLAIN_UNIX) | copy->json | (copy->direction ^ copy->asks ^ 1);
	__u64 urgent = (other - 1) >> 63; /* 1 if `other` is 0 */

	return BPF_RB_NO_WAKEUP + urgent * (BPF_RB_FORCE_WAKEUP - BPF_RB_NO_WAKEUP);
}

PG_INLINE void pg_plain_fill(void *space, void *described, __u32 at, __u32 length)
{
	struct pg_plain_copy *copy = described;
	struct pg_plain *record = space;

	pg_header(&record->hdr, bpf_get_current_task_btf(), NULL, copy->session, PG_PLAIN, sizeof(*record) + length);
	record->connection = copy->connection;
	record->generation = copy->generation;
	record->offset = copy->offset + at;
	record->socket = copy->ino;
	record->standard_input = copy->standard_input;
	record->data_len = length;
	record->missing = at + length == copy->left ? copy->missing : 0;
	record->kind = copy->kind;
	record->direction = copy->direction;
	record->json = copy->json;
	record->asks = copy->asks;
	__builtin_memset(record->_pad, 0, sizeof(record->_pad));
}

static long pg_plain_step(__u32 index, struct pg_plain_copy *copy)
{
	return pg_chunk_of(index, copy->session, copy->buffer, copy->length, copy, pg_plain_fill, sizeof(struct pg_plain),
			   pg_plain_urgency);
}

struct pg_iovec {
	__u64 base;
	__u64 length;
};

/* One slice; a call with one buffer is one. */
static long pg_plain_segment(__u32 index, struct pg_plain_copy *copy)
{
	struct pg_iovec segment = {.base = copy->buffer, .length = copy->left};

	if (index >= copy->iovecs || !copy->left)
		return 1;
	if (copy->iov) {
		segment.length = 0;
		bpf_probe_read_user(&segment, sizeof(segment), (void *)(copy->iov + index * sizeof(segment)));
	}
	copy->buffer = segment.base;
	copy->length = segment.length < copy->left ? segment.length : copy->left;
	bpf_loop(PG_CHUNKS, pg_plain_step, copy, 0);
	copy->offset += copy->length;
	copy->left -= copy->length;
	return 0;
}

/* Where the bytes of a call lie in the process: a buffer, or an array of them; none where it cannot be told. */
struct pg_plain_bytes {
	__u64 buffer;
	__u64 iov;
	__u32 iovecs;
};

/*
 * `moved` bytes went through one end. Not static: the verifier then looks at it once a program, not once for each state
 * in which its callers may be.
 * `use`: what the caller knows of the end.
 */
struct pg_plain_use {
	__u64 object;
	__u64 ino; /* 0: nothing is done */
	struct pg_plain_bytes bytes;
	__u32 direction;
	__u16 pipe; /* `object` is its inode, else a struct sock */
	__u16 standard_output; /* through descriptor 1 */
};

__noinline int pg_plain_moved(__u64 moved, struct pg_plain_use *use)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of_process(task); /* a thread of io_uring's has none of its own */
	struct pg_plain_end *end, fresh = {};
	struct pg_plain_copy copy = {};
	struct pg_session *session;
	struct pg_plain_key key;
	struct sock *peer = NULL;
	struct pg_iovec first = {};
	__u32 *choice, limit;
	__u64 tried, *input;
	bool known;

	if (!mine || !use || !use->ino || !moved)
		return 0;
	key.session = mine->session;
	key.object = use->object;
	end = bpf_map_lookup_elem(&plain_ends, &key);
	known = end && end->ino == use->ino;
	if (known && !end->wanted)
		return 0;
	session = pg_session_of(mine->session);
	if (!session || session->flags & PG_SESSION_NO_TLS)
		return 0;
	copy.direction = use->direction & 1;
	copy.iov = use->bytes.iov;
	copy.iovecs = use->bytes.iovecs;
	copy.buffer = use->bytes.buffer;
	if (!known) {
		fresh.ino = use->ino;
		fresh.kind = PG_PLAIN_PIPE;
		if (use->pipe)
			fresh.connection = pg_pipe_connection((struct inode *)use->object);
		else
			fresh.connection = pg_plain_connection((struct sock *)use->object, &fresh.kind, &peer);
		if (fresh.connection) {
			first.base = copy.buffer;
			first.length = copy.buffer ? moved : 0;
			if (copy.iov && bpf_probe_read_user(&first, sizeof(first), (void *)copy.iov))
				first.length = 0;
			if (!first.length)
				return 0; /* sendfile, io_uring, an empty buffer: the next call tells what it is */
			if (!pg_plain_judge(&fresh, (void *)first.base, first.length < moved ? first.length : moved, copy.direction)) {
				pg_lose(session, PG_DIM_TLS, PG_LOSS_READ);
				return 0;
			}
		}
		if (fresh.wanted)
			fresh.wanted = pg_plain_claim(mine->session, &fresh, peer);
		if (fresh.wanted)
			fresh.generation = __sync_fetch_and_add(&plain_generations, 1) + 1;
		if (fresh.wanted && fresh.json) {
			key.object = fresh.connection;
			input = bpf_map_lookup_elem(&plain_inputs, &key);
			fresh.standard_input = input ? *input : use->standard_output ? pg_plain_at(task, 0) : 0;
			key.object = use->object;
		}
		/* Of two threads that are first at once, the one that was counts. */
		if (end)
			bpf_map_update_elem(&plain_ends, &key, &fresh, BPF_ANY);
		else
			pg_add(&plain_ends, &key, &fresh);
		if (!fresh.wanted)
			return 0;
		end = bpf_map_lookup_elem(&plain_ends, &key);
		if (!end) {
			pg_lose(session, PG_DIM_TLS, PG_LOSS_MAP);
			return 0;
		}
	}
	copy.generation = end->generation;
	copy.connection = end->connection;
	copy.kind = end->kind;
	copy.json = end->json;
	copy.asks = end->asks;
	copy.ino = end->ino;
	copy.session = mine->session;
	copy.offset = __sync_fetch_and_add(&end->moved[copy.direction & 1], moved);
	copy.left = moved > PG_TLS_CALL_MAX ? PG_TLS_CALL_MAX : moved;
	if (!copy.buffer && !copy.iov)
		copy.left = 0;
	choice = bpf_map_lookup_elem(&plain_choices, &copy.generation);
	if (choice && *choice == PG_PLAIN_LEAVE) {
		end->wanted = 0;
		return 0;
	}
	if (!choice) {
		limit = end->json ? PG_TRIAL_JSON : copy.direction == end->asks ? PG_TRIAL_ASKED : PG_TRIAL_ANSWERED;
		end->tried[(copy.direction & 1) ^ 1] = 0;
		tried = __sync_fetch_and_add(&end->tried[copy.direction & 1], moved);
		if (tried >= limit)
			return 0; /* the next record shows the hole */
		if (copy.left > limit - tried)
			copy.left = limit - tried;
	}
	copy.missing = moved - copy.left > 0xffffffff ? 0xffffffff : moved - copy.left;
	copy.standard_input = end->standard_input;
	if (copy.left) {
		bpf_loop(PG_PLAIN_IOVECS, pg_plain_segment, &copy, 0);
		if (!copy.left)
			return 0;
		copy.missing += copy.left; /* in slices beyond those that are followed */
		copy.left = 0;
	}
	pg_chunk(session, 0, &copy, 0, 0, pg_plain_fill, sizeof(struct pg_plain), 0,
		 pg_not_urgent); /* only that `missing` bytes went by */
	return 0;
}

/* The other side sends no more. A function of its own: Linux 6.1 adds up the stack of what is called from one place. */
static __noinline void pg_plain_over(struct task_struct *task, struct pg_lineage *mine, struct sock *sk)
{
	struct pg_plain_key key = {.session = mine->session, .object = (__u64)sk};
	struct pg_plain_end *end = bpf_map_lookup_elem(&plain_ends, &key);
	struct pg_plain_close record = {};

	if (!end || !end->wanted || end->ino != pg_sock_ino(sk))
		return;
	pg_header(&record.hdr, task, NULL, mine->session, PG_PLAIN_CLOSE, sizeof(record));
	record.connection = end->connection;
	record.generation = end->generation;
	pg_send(&plaintext, &record, sizeof(record), pg_session_of(mine->session), PG_DIM_TLS, BPF_RB_NO_WAKEUP);
}

/* --- hooks --------------------------------------------------------------------------------------------- */

/* The bytes of the system call that the task is in; nothing where it is another kind of call. */
PG_INLINE void pg_plain_arguments(struct pg_plain_bytes *bytes, struct pt_regs *regs, long nr)
{
	__u64 message = ARG2, third = ARG3, count = 0;

	barrier_var(third); /* or one instruction reads it and `count`, through pointers of two kinds */
	if (nr == NR_read || nr == NR_write || nr == NR_recvfrom || nr == NR_sendto) {
		bytes->buffer = ARG2;
		count = 1;
	} else if (nr == NR_readv || nr == NR_writev) {
		bytes->iov = ARG2;
		count = third;
	} else if (nr == NR_sendmsg || nr == NR_recvmsg) { /* struct user_msghdr of x86-64: iov, iovlen */
		bpf_probe_read_user(&bytes->iov, sizeof(bytes->iov), (void *)(message + 16));
		bpf_probe_read_user(&count, sizeof(count), (void *)(message + 24));
	}
	bytes->iovecs = count > PG_PLAIN_IOVECS ? PG_PLAIN_IOVECS : count;
}

PG_INLINE bool pg_is_compat(struct task_struct *task)
{
	return bpf_core_field_exists(task->thread_info.status) && PG_READ(task, thread_info.status) & TS_COMPAT;
}

PG_INLINE int pg_plain_socket(struct task_struct *task, struct pg_lineage *mine, struct sock *sk, long moved, __u8 direction,
			      __u32 flags, long nr)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct pg_plain_use use = {.object = (__u64)sk, .direction = direction};

	if (moved < 0 || (direction == PG_TLS_RECEIVED && flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)))
		return 0;
	if (!moved) { /* a read of nothing by a call that asked for something: the end */
		if (direction == PG_TLS_RECEIVED && (nr == NR_recvmsg || nr == NR_readv || ((nr == NR_read || nr == NR_recvfrom) && ARG3)))
			pg_plain_over(task, mine, sk);
		return 0;
	}
	if (PG_READ(sk, sk_type) != SOCK_STREAM)
		return 0;
	use.ino = pg_sock_ino(sk);
	if (!(flags & MSG_TRUNC) || direction == PG_TLS_SENT)
		pg_plain_arguments(&use.bytes, regs, nr);
	use.standard_output = direction == PG_TLS_SENT && ARG1 == 1;
	return pg_plain_moved(moved, &use);
}

PG_INLINE int pg_plain_hook(struct sock *sk, int moved, __u8 direction, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of_process(task);
	struct pt_regs *regs;

	if (!mine)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	return pg_plain_socket(task, mine, sk, moved, direction, flags, pg_is_compat(task) ? -1 : (long)regs->orig_ax);
}

SEC("raw_tp/sock_send_length")
int pg_on_plain_sent(struct bpf_raw_tracepoint_args *ctx)
{
	return pg_plain_hook((struct sock *)ctx->args[0], ctx->args[1], PG_TLS_SENT, 0);
}

SEC("raw_tp/sock_recv_length")
int pg_on_plain_received(struct bpf_raw_tracepoint_args *ctx)
{
	return pg_plain_hook((struct sock *)ctx->args[0], ctx->args[1], PG_TLS_RECEIVED, ctx->args[2]);
}

/* In the place of both where a kernel has no such hooks. */
SEC("tp")
int pg_on_plain_call(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pt_regs *regs;
	struct sock *sk;
	__u32 flags = 0;
	__u64 cookie;
	int nr = ctx->nr;

	if (!mine || ctx->ret < 0)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	sk = pg_sock_of(task, ARG1, &cookie);
	if (!sk)
		return 0;
	if (nr == NR_recvfrom)
		flags = ARG4;
	else if (nr == NR_recvmsg)
		flags = ARG3;
	return pg_plain_socket(task, mine, sk, ctx->ret,
			       nr == NR_write || nr == NR_writev || nr == NR_sendto || nr == NR_sendmsg ? PG_TLS_SENT : PG_TLS_RECEIVED,
			       flags, nr);
}

SEC("tp")
int pg_on_pipe_write(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_plain_use use = {.direction = PG_TLS_SENT};
	struct pt_regs *regs;
	struct inode *inode;
	struct file *file;

	if (!mine || ctx->ret <= 0)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	file = pg_file_of(task, ARG1);
	if (!file)
		return 0;
	inode = PG_READ(file, f_inode);
	if ((PG_READ(inode, i_mode) & S_IFMT) != S_IFIFO)
		return 0;
	use.object = (__u64)inode;
	use.ino = PG_READ(inode, i_ino);
	use.pipe = 1;
	pg_plain_arguments(&use.bytes, regs, ctx->nr);
	use.standard_output = ARG1 == 1;
	return pg_plain_moved(ctx->ret, &use);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(pg_on_plain_exec, struct task_struct *task)
{
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_plain_key key = {};
	__u64 input;

	if (!mine)
		return 0;
	input = pg_plain_at(task, 0);
	if (!input)
		return 0;
	key.session = mine->session;
	key.object = pg_plain_at(task, 1);
	if (key.object && key.object != input)
		bpf_map_update_elem(&plain_inputs, &key, &input, BPF_ANY);
	return 0;
}

/* Who connects tells the connection, so it must be known before the other end hears anything. */
SEC("tp")
int pg_on_plain_connect(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_plain_key key = {};
	struct pt_regs *regs;
	struct sock *sk, *peer;
	__u64 cookie = 0;
	__u32 kind = 0;

	if (!mine || !pg_connecting(ctx->ret))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	sk = pg_sock_of(task, ARG1, &cookie);
	if (!sk)
		return 0;
	key.session = mine->session;
	key.object = pg_plain_connection(sk, &kind, &peer);
	if (key.object)
		bpf_map_update_elem(&plain_claims, &key, &cookie, BPF_ANY);
	return 0;
}

#endif
