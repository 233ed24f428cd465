/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * tls.h: plaintext at the TLS library, of enrolled lineages only: what all libraries share, and the programs of those
 * with OpenSSL's interface. tls_rustls.h, tls_go.h and tls_other.h have the programs of the others.
 *
 * User space attaches these programs to file offsets it has checked (collector/tls/). A function notes its
 * arguments on entry; what it moved is known when it returns. One note per thread: a function of the family that
 * calls another one of it is told once, by the inner one, and a return that never came is overwritten. What was sent
 * has the time of the entry: another thread may have read the answer, and told it, before the call returns.
 *
 * Each connection (process, address of its object) counts the bytes of either direction, so a chunk that found no
 * room in the ring leaves a hole that user space can see.
 */
#ifndef POLYGRAPH_TLS_H
#define POLYGRAPH_TLS_H

#include "chunks.h"
#include "core.h"

#define SSL_CTRL_SET_TLSEXT_HOSTNAME 55 /* include/openssl/tls1.h */
#define PG_SNI_MAX 255

/*
 * The programs here run on the task's own stack. Since Linux 6.13 (e00931c02568, "bpf: Enable private stack for
 * eligible subprogs") the stack of a program of this type is memory of the CPU, once for each program: the kernel sees
 * to it that a kprobe's is not run on a CPU twice at once. Of a uprobe's it does not, and another task's may preempt
 * it: the two wrote over each other's notes, and bytes of a call were lost. One with a tail call, be it never taken,
 * is left on the stack of the task (kernel/bpf/verifier.c, check_max_stack_depth()).
 */
const volatile bool pg_calls_another = false;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} no_program SEC(".maps");

PG_INLINE void pg_stay_on_stack(struct pt_regs *ctx)
{
	if (pg_calls_another)
		bpf_tail_call(ctx, &no_program, 0);
}

#define PG_PROBE(name, call, args...)                                                                                  \
	name(struct pt_regs *ctx);                                                                                     \
	PG_INLINE int name##_body(struct pt_regs *ctx, ##args);                                                        \
	int name(struct pt_regs *ctx)                                                                                  \
	{                                                                                                              \
		pg_stay_on_stack(ctx);                                                                                 \
		_Pragma("GCC diagnostic push")                                                                         \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"") /* registers are told as pointers */            \
		return name##_body(call);                                                                              \
		_Pragma("GCC diagnostic pop")                                                                          \
	}                                                                                                              \
	PG_INLINE int name##_body(struct pt_regs *ctx, ##args)

/* As BPF_KPROBE and BPF_KRETPROBE: arguments of the function, or its result. */
#define PG_UPROBE(name, args...) PG_PROBE(name, ___bpf_kprobe_args(args), ##args)
#define PG_URETPROBE(name, args...) PG_PROBE(name, ___bpf_kretprobe_args(args), ##args)

struct pg_tls_key {
	__u64 start;
	__u64 ssl;
	__u32 pid;
	__u32 _pad;
};

struct pg_tls_connection {
	__u64 generation;
	__u64 moved[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pg_tls_key);
	__type(value, struct pg_tls_connection);
} tls_connections SEC(".maps");

__u64 tls_generations = 0;

PG_INLINE struct pg_tls_key pg_tls_key_of(struct task_struct *task, __u64 ssl)
{
	struct pg_tls_key key = {.ssl = ssl};

	key.start = PG_READ(task, group_leader, start_boottime);
	key.pid = task->tgid;
	return key;
}

PG_INLINE int pg_tls_enter(__u64 ssl, __u64 buffer, __u64 moved, __u64 direction)
{
	struct pg_lineage *mine = pg_current();

	if (!mine)
		return 0;
	/* A connection inside another one, as through a proxy that is itself spoken to with TLS: the outer call's return
	 * will find no note. */
	if (mine->tls_ssl && mine->tls_ssl != ssl)
		pg_lose(pg_session_of(mine->session), PG_DIM_TLS, PG_LOSS_SCRATCH);
	mine->tls_ssl = ssl;
	mine->tls_buffer = buffer;
	mine->tls_moved = moved;
	mine->tls_direction = direction;
	mine->tls_began = direction == PG_TLS_SENT ? bpf_ktime_get_boot_ns() : 0;
	return 0;
}

struct pg_tls_copy {
	struct pg_tls_key key;
	__u64 session;
	__u64 generation;
	__u64 offset;
	__u64 buffer;
	__u32 total;
	__u32 missing; /* beyond what is copied, told with the last chunk */
	__u32 direction;
	__u32 library; /* enum pg_tls_library: the cookie that user space gave the attachment */
	__u64 began;   /* 0: now */
};

PG_INLINE void pg_tls_fill(void *space, void *described, __u32 at, __u32 length)
{
	struct pg_tls_copy *copy = described;
	struct pg_tls *record = space;

	pg_header(&record->hdr, bpf_get_current_task_btf(), NULL, copy->session, PG_TLS, sizeof(*record) + length);
	if (copy->began)
		record->hdr.ts = copy->began;
	record->ssl = copy->key.ssl;
	record->generation = copy->generation;
	record->offset = copy->offset + at;
	record->direction = copy->direction;
	record->library = copy->library;
	__builtin_memset(record->_pad, 0, sizeof(record->_pad));
	record->missing = at + length == copy->total ? copy->missing : 0;
	record->data_len = length;
}

static long pg_tls_step(__u32 index, struct pg_tls_copy *copy)
{
	return pg_chunk_of(index, copy->session, copy->buffer, copy->total, copy, pg_tls_fill, sizeof(struct pg_tls), pg_not_urgent);
}

/*
 * The connection `copy->key` moved `moved` more bytes in `copy->direction`: those at `copy->buffer`, or, where that
 * is 0, some that cannot be had.
 */
PG_INLINE int pg_tls_tell(struct pg_tls_copy *copy, __u64 moved)
{
	struct pg_session *session = pg_session_of(copy->session);
	struct pg_tls_connection fresh = {}, *connection;

	connection = bpf_map_lookup_elem(&tls_connections, &copy->key);
	if (!connection) {
		fresh.generation = __sync_fetch_and_add(&tls_generations, 1) + 1;
		bpf_map_update_elem(&tls_connections, &copy->key, &fresh, BPF_ANY);
		connection = bpf_map_lookup_elem(&tls_connections, &copy->key);
	}
	if (!connection) {
		pg_lose(session, PG_DIM_TLS, PG_LOSS_MAP);
		return 0;
	}
	copy->direction &= 1;
	copy->generation = connection->generation;
	copy->offset = __sync_fetch_and_add(&connection->moved[copy->direction], moved);
	if (session && session->flags & PG_SESSION_NO_TLS)
		return 0;
	copy->total = copy->missing = 0;
	if (copy->buffer)
		copy->total = moved > PG_TLS_CALL_MAX ? PG_TLS_CALL_MAX : moved;
	moved -= copy->total;
	copy->missing = moved > 0xffffffff ? 0xffffffff : moved;
	if (copy->total)
		bpf_loop(PG_CHUNKS, pg_tls_step, copy, 0);
	else /* bytes that cannot be had: the hole is told at once */
		pg_chunk(session, 0, copy, 0, 0, pg_tls_fill, sizeof(struct pg_tls), 0, pg_not_urgent);
	return 0;
}

/* `result`: what the function returned; for an _ex function 1 is success and the number stands in memory. */
PG_INLINE int pg_tls_return(long result, __u32 library)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_copy copy = {.library = library};
	__u64 moved = 0;

	if (!mine || !mine->tls_ssl)
		return 0;
	copy.key = pg_tls_key_of(task, mine->tls_ssl);
	copy.session = mine->session;
	copy.buffer = mine->tls_buffer;
	copy.direction = mine->tls_direction;
	copy.began = mine->tls_began;
	if ((int)result > 0) {
		moved = (__u32)result;
		if (mine->tls_moved)
			bpf_probe_read_user(&moved, sizeof(moved), (void *)mine->tls_moved);
	}
	mine->tls_ssl = 0;
	return moved ? pg_tls_tell(&copy, moved) : 0;
}

/* The connection's object is gone, or another one is made at its address. */
PG_INLINE int pg_tls_gone(__u64 ssl, __u32 library)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_tls_close record = {.ssl = ssl, .library = library};
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_connection *connection;
	struct pg_session *session;
	struct pg_tls_key key;

	if (!mine || !ssl)
		return 0;
	key = pg_tls_key_of(task, ssl);
	connection = bpf_map_lookup_elem(&tls_connections, &key);
	if (!connection)
		return 0;
	record.generation = connection->generation;
	bpf_map_delete_elem(&tls_connections, &key);
	session = pg_session_of(mine->session);
	pg_header(&record.hdr, task, NULL, mine->session, PG_TLS_CLOSE, sizeof(record));
	pg_send(&plaintext, &record, sizeof(record), session, PG_DIM_TLS, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("uprobe")
int PG_UPROBE(pg_on_ssl_read, __u64 ssl, __u64 buffer)
{
	return pg_tls_enter(ssl, buffer, 0, PG_TLS_RECEIVED);
}

SEC("uprobe")
int PG_UPROBE(pg_on_ssl_write, __u64 ssl, __u64 buffer)
{
	return pg_tls_enter(ssl, buffer, 0, PG_TLS_SENT);
}

SEC("uprobe")
int PG_UPROBE(pg_on_ssl_read_ex, __u64 ssl, __u64 buffer, __u64 size, __u64 moved)
{
	return pg_tls_enter(ssl, buffer, moved, PG_TLS_RECEIVED);
}

SEC("uprobe")
int PG_UPROBE(pg_on_ssl_write_ex, __u64 ssl, __u64 buffer, __u64 size, __u64 moved)
{
	return pg_tls_enter(ssl, buffer, moved, PG_TLS_SENT);
}

SEC("uretprobe")
int PG_URETPROBE(pg_on_ssl_return, long result)
{
	return pg_tls_return(result, bpf_get_attach_cookie(ctx));
}

SEC("uprobe")
int PG_UPROBE(pg_on_ssl_free, __u64 ssl)
{
	return pg_tls_gone(ssl, bpf_get_attach_cookie(ctx));
}

/* The name that the client gives to the server: `size` bytes of it, or up to its NUL. */
PG_INLINE int pg_server_name(__u64 ssl, __u64 name, __u64 size)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_session *session;
	struct {
		struct pg_sni sni;
		char name[PG_SNI_MAX + 1];
	} record;
	__u32 whole = sizeof(record.sni);
	long length;

	if ((!mine && !pg_auto) || !name)
		return 0;
	__builtin_memset(&record, 0, sizeof(record));
	record.sni.ssl = ssl;
	if (size > PG_SNI_MAX)
		size = PG_SNI_MAX;
	barrier_var(size);
	size &= PG_SNI_MAX; /* the verifier's own */
	length = bpf_probe_read_user_str(record.name, size + 1, (void *)name); /* and a NUL, in any case */
	if (length <= 1 || length > PG_SNI_MAX)
		return 0;
	record.sni.name_len = length - 1;
	whole += length - 1;
	session = mine ? pg_session_of(mine->session) : NULL;
	pg_header(&record.sni.hdr, task, session, mine ? mine->session : 0, PG_SNI, whole);
	if (whole <= sizeof(record))
		pg_send(&effects, &record, whole, session, PG_DIM_TLS, mine ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("uprobe")
int PG_UPROBE(pg_on_ssl_ctrl, __u64 ssl, int command, long larg, __u64 parg)
{
	return command == SSL_CTRL_SET_TLSEXT_HOSTNAME ? pg_server_name(ssl, parg, PG_SNI_MAX) : 0;
}

SEC("uprobe")
int PG_UPROBE(pg_on_ssl_set_host, __u64 ssl, __u64 name)
{
	return pg_server_name(ssl, name, PG_SNI_MAX);
}

#endif
