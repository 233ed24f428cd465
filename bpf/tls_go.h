/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * tls_go.h: plaintext at Go's crypto/tls: (*Conn).Read and (*Conn).Write, as called since Go 1.17 (ABIInternal,
 * cmd/compile/abi-internal.md): arguments and results in RAX, RBX, RCX, …, the goroutine in R14.
 *
 * Go moves the stacks of its goroutines and looks through them, so no return address may be replaced: the programs
 * for returns sit on the RET instructions (collector/tls/golang.py finds them). A goroutine that waits goes on in any
 * thread, so a call is noted by goroutine. A buffer on the goroutine's own stack moves with it: it is noted by
 * its distance from the stack's upper end, which stays the same (runtime.copystack).
 *
 * What is written is told when the call begins: another goroutine may have read the answer before it returns. One that
 * failed to write all has broken its connection for good (crypto/tls), which is then told to be over.
 */
#ifndef POLYGRAPH_TLS_GO_H
#define POLYGRAPH_TLS_GO_H

#include "tls.h"

struct pg_go_call {
	__u64 connection;
	__u64 buffer; /* on the stack: distance from its end */
	__u64 length;
	__u32 direction;
	__u32 on_stack;
};

/* Beginning of a goroutine's g (runtime/runtime2.go). */
struct pg_go_stack {
	__u64 lo;
	__u64 hi;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH); /* a process that is killed leaves its calls behind */
	__uint(max_entries, 16384);
	__type(key, struct pg_tls_key); /* of the goroutine */
	__type(value, struct pg_go_call);
} go_calls SEC(".maps");

PG_INLINE int pg_go_enter(struct pt_regs *ctx, __u32 direction)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_go_call call = {.direction = direction}, *before;
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_copy copy = {};
	struct pg_go_stack stack = {};
	struct pg_tls_key key;

	if (!mine)
		return 0;
	key = pg_tls_key_of(task, ctx->r14);
	call.connection = ctx->ax;
	call.buffer = ctx->bx;
	call.length = ctx->cx;
	copy.buffer = call.buffer;
	if (bpf_probe_read_user(&stack, sizeof(stack), (void *)ctx->r14)) {
		pg_lose(pg_session_of(mine->session), PG_DIM_TLS, PG_LOSS_READ);
		return 0;
	}
	if (call.buffer >= stack.lo && call.buffer < stack.hi) {
		call.on_stack = 1;
		call.buffer = stack.hi - call.buffer;
	}
	if (direction == PG_TLS_SENT) {
		/* A function begins again when its stack had to grow. */
		before = bpf_map_lookup_elem(&go_calls, &key);
		if (before && before->connection == call.connection && before->buffer == call.buffer &&
		    before->length == call.length && before->direction == direction)
			return 0;
	}
	if (bpf_map_update_elem(&go_calls, &key, &call, BPF_ANY))
		pg_lose(pg_session_of(mine->session), PG_DIM_TLS, PG_LOSS_MAP);
	if (direction != PG_TLS_SENT || !call.length)
		return 0;
	copy.key = key;
	copy.key.ssl = call.connection;
	copy.session = mine->session;
	copy.direction = PG_TLS_SENT;
	copy.library = bpf_get_attach_cookie(ctx);
	return pg_tls_tell(&copy, call.length);
}

SEC("uprobe")
int PG_UPROBE(pg_on_go_read)
{
	return pg_go_enter(ctx, PG_TLS_RECEIVED);
}

SEC("uprobe")
int PG_UPROBE(pg_on_go_write)
{
	return pg_go_enter(ctx, PG_TLS_SENT);
}

/* At a RET of Read: RAX is how many bytes it moved, with an error or without. */
SEC("uprobe")
int PG_UPROBE(pg_on_go_read_return)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_go_stack stack = {};
	struct pg_tls_copy copy = {};
	struct pg_go_call *call;
	struct pg_tls_key key;
	long moved;

	if (!mine)
		return 0;
	moved = ctx->ax;
	key = pg_tls_key_of(task, ctx->r14);
	call = bpf_map_lookup_elem(&go_calls, &key);
	if (!call) { /* it was called before the probes were there, or too many wait at once */
		if (moved > 0)
			pg_lose(pg_session_of(mine->session), PG_DIM_TLS, PG_LOSS_MAP);
		return 0;
	}
	copy.key = key;
	copy.key.ssl = call->connection;
	copy.buffer = call->buffer;
	if (call->on_stack) {
		bpf_probe_read_user(&stack, sizeof(stack), (void *)ctx->r14);
		copy.buffer = stack.hi ? stack.hi - copy.buffer : 0;
	}
	bpf_map_delete_elem(&go_calls, &key);
	if (moved <= 0)
		return 0;
	copy.session = mine->session;
	copy.direction = PG_TLS_RECEIVED;
	copy.library = bpf_get_attach_cookie(ctx);
	return pg_tls_tell(&copy, moved);
}

/* At a RET of Write: what was told is true if all of it was written. */
SEC("uprobe")
int PG_UPROBE(pg_on_go_write_return)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_go_call *call;
	struct pg_tls_key key;
	__u64 connection;
	bool broken;

	if (!mine)
		return 0;
	key = pg_tls_key_of(task, ctx->r14);
	call = bpf_map_lookup_elem(&go_calls, &key);
	if (!call)
		return 0;
	connection = call->connection;
	broken = ctx->ax != call->length;
	bpf_map_delete_elem(&go_calls, &key);
	return broken ? pg_tls_gone(connection, bpf_get_attach_cookie(ctx)) : 0;
}

/* (*Conn).Close, and (*Conn).clientHandshake: whoever had this address before is gone. */
SEC("uprobe")
int PG_UPROBE(pg_on_go_close)
{
	return pg_tls_gone(ctx->ax, bpf_get_attach_cookie(ctx));
}

#endif
