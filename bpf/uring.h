/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * uring.h: what goes through an io_uring, by which no system call is made.
 *
 * Each submission is looked at: the kernel submits in the caller's task or, for a ring with IORING_SETUP_SQPOLL, in
 * a thread of the process that made it. An operation that the other probes would have seen had it been a call
 * marks the session, once for each dimension that it hides; any other (reading what is open, polling, timers)
 * marks nothing. Which is which: collector/data/uring_ops.toml. Only where a kernel has no such hook does a
 * ring mark the session by being made.
 */
#ifndef POLYGRAPH_URING_H
#define POLYGRAPH_URING_H

#include "core.h"

/* Bitmaps of opcodes (IORING_OP_*) that hide something from the dimension. Set before load; unset, all do. */
const volatile __u64 pg_uring_file[4] = {~0ull, ~0ull, ~0ull, ~0ull};
const volatile __u64 pg_uring_network[4] = {~0ull, ~0ull, ~0ull, ~0ull};

/* Contexts of io_uring:io_uring_submit_req, and of the name that it had before Linux 6.4. */
struct trace_event_raw_io_uring_submit_req {
	__u8 opcode;
} __attribute__((preserve_access_index));

struct trace_event_raw_io_uring_submit_sqe {
	__u8 opcode;
} __attribute__((preserve_access_index));

/* The session's first operation that hides something from `dimension`. One that finds no room leaves it to the next. */
PG_INLINE void pg_uring_hides(struct task_struct *task, struct pg_lineage *mine, __u32 opcode, __u8 dimension, __u64 told)
{
	struct pg_session *session = pg_session_of(mine->session);
	struct pg_uring record = {.opcode = opcode, .dimension = dimension};

	if (!session || session->flags & told)
		return;
	pg_header(&record.hdr, task, session, mine->session, PG_URING, sizeof(record));
	if (bpf_ringbuf_output(&effects, &record, sizeof(record), pg_wake(BPF_RB_NO_WAKEUP)))
		pg_lose(session, dimension, PG_LOSS_RING);
	else
		__sync_fetch_and_or(&session->flags, told);
}

PG_INLINE bool pg_opcode_in(const volatile __u64 *set, __u8 opcode)
{
	return set[opcode >> 6] >> (opcode & 63) & 1;
}

SEC("tp")
int pg_on_uring_submit(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of_process(task);
	__u8 opcode = 0xff; /* none: hides all */
	__u32 at;

	if (!mine)
		return 0;
	if (bpf_core_type_exists(struct trace_event_raw_io_uring_submit_req))
		at = bpf_core_field_offset(struct trace_event_raw_io_uring_submit_req, opcode);
	else
		at = bpf_core_field_offset(struct trace_event_raw_io_uring_submit_sqe, opcode);
	bpf_probe_read_kernel(&opcode, sizeof(opcode), ctx + at);
	if (pg_opcode_in(pg_uring_file, opcode))
		pg_uring_hides(task, mine, opcode, PG_DIM_FILE, PG_SESSION_URING_FILE);
	if (pg_opcode_in(pg_uring_network, opcode))
		pg_uring_hides(task, mine, opcode, PG_DIM_NETWORK, PG_SESSION_URING_NETWORK);
	return 0;
}

/* In the place of pg_on_uring_submit where a kernel has no such hook. */
SEC("tp")
int pg_on_uring_setup(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);

	if (!mine || ctx->ret < 0)
		return 0;
	pg_uring_hides(task, mine, PG_URING_MADE, PG_DIM_FILE, PG_SESSION_URING_FILE);
	pg_uring_hides(task, mine, PG_URING_MADE, PG_DIM_NETWORK, PG_SESSION_URING_NETWORK);
	return 0;
}

#endif
